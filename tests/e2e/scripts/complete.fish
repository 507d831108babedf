# What fish offers for a command line: fish --no-config complete.fish SCRIPT 'vmtrace report --so'
# Each match is one line, without its description.
source $argv[1]
complete -C $argv[2] | string replace -r '\t.*' ''
