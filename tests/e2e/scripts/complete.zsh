# What zsh offers for a command line: zsh -f complete.zsh DIRECTORY-OF-_vmtrace 'vmtrace report --so'
# A second zsh completes the line on a terminal of its own. Each match is one line.
zmodload zsh/zpty
results=$(mktemp) setup=$(mktemp)
cat >$setup <<END
PROMPT=
fpath=($1 \$fpath)
autoload -U compinit
compinit -u -D
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
compadd() {
	local -a hits
	if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
		builtin compadd "\$@"
		return
	fi
	builtin compadd -A hits "\$@"
	(( \$#hits )) && print -rl -- \$hits >>$results
}
leave() { exit }
comppostfuncs=(leave)
print is-ready
END
zpty inner zsh -f -i
zpty -w inner "source $setup"
zpty -r -m inner line '*is-ready*'
zpty -w -n inner "$2"$'\t'
while zpty -r inner line; do :; done
sort -u $results
rm -f $results $setup
