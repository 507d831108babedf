/*
 * cmd.h: the list of subcommands.
 *
 * One file a subcommand, tools/cmd/cmd_NAME.c, with int vmt_cmd_NAME_main(argc, argv, err): argv[0]
 * is the subcommand's own name; its options are the table vmt_cmd_NAME_options[]. It writes data to
 * stdout, nothing to stderr but progress, and never exits. Returns the exit status (0 or more), or
 * a negative errno with a message that main.c prints: -EINVAL stands for a wrong command line.
 * Single-threaded.
 */
#ifndef VMT_CMD_H
#define VMT_CMD_H

#include "tools/cmd/options.h"
#include "tools/err.h"

/* X(name, arguments, summary), in the order in which help shows them. */
#define VMT_COMMANDS(X)                                                                            \
	X(record, "[-o FILE] [options] -- CMD... | -p PID",                                        \
	  "run a program and record its memory calls")                                             \
	X(snapshot, "PID... [-o FILE]", "what a running process has in RAM, without touching it")  \
	X(top, "PID|FILE|DIR [options]", "watch what a process has in RAM, by call site")          \
	X(report, "FILE [options]", "explain a trace: who reserved, what is in RAM")               \
	X(diff, "A B [options]", "show what changed between two traces")                           \
	X(dump, "FILE [options]", "print every record of a trace in time order")                   \
	X(pack, "FILE [-o FILE]", "put all names that a report needs into a trace")                \
	X(doctor, "[PID | -- CMD]", "check whether a program can be recorded here")                \
	X(env, "[--patch FILE]", "print the lines for a Dockerfile and a pod")                     \
	X(help, "[CMD]", "show this, or the help of a command")

/* Not in help's list: what `make install` asks for. */
#define VMT_HIDDEN_COMMANDS(X)                                                                     \
	X(completion, "bash|zsh|fish", "print the script by which a shell completes vmtrace")

struct vmt_cmd {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(int argc, char **argv, struct vmt_err *err);
	const struct vmt_option *options;
};

#define X(name, arguments, summary)                                                                \
	int vmt_cmd_##name##_main(int argc, char **argv, struct vmt_err *err);                     \
	extern const struct vmt_option vmt_cmd_##name##_options[];
VMT_COMMANDS(X)
VMT_HIDDEN_COMMANDS(X)
#undef X

#endif
