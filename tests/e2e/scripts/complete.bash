# What bash offers for a command line: bash complete.bash SCRIPT 'vmtrace report --so'
# Each match is one line. Words are those that bash makes of the line: = is one by itself.
source "$1"
line=${2//=/ = }
read -ra COMP_WORDS <<<"$line"
[[ $line == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
$(complete -p vmtrace | sed 's/.*-F \([^ ]*\).*/\1/')
printf '%s\n' "${COMPREPLY[@]}"
