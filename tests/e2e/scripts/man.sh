# A manual page behind man's filter. $D: a directory.
mkdir -p "$D/man/man1"
chmod -R a+rX "$D/man"
printf '.TH T 1\n.SH NAME\nt \\- nothing\n' >"$D/man/man1/t.1"
mandb -c -q "$D/man"
man -M "$D/man" t
whatis -M "$D/man" t
rm -r "$D/man"
exit 3
