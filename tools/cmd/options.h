/*
 * options.h: parses a command line.
 *
 * A table of options a command; its values by the same index. "--name VALUE", "--name=VALUE",
 * "-o VALUE", "-oVALUE"; a unique beginning of a long name will do; "--" ends the options. Values
 * and operands point into argv. Single-threaded.
 */
#ifndef VMT_OPTIONS_H
#define VMT_OPTIONS_H

#include "tools/err.h"

#include <stdbool.h>

#define VMT_OPTIONS_MAX 32
#define VMT_OPTIONS_REPEATED_MAX 64

/* The table ends with a NULL name. */
struct vmt_option {
	const char *name; /* without its dashes */
	char letter;	  /* 0 = no short form */
	/* What the value is called in help; NULL = takes none. One that ends with "..." may be
	 * given several times: at most one of a table. */
	const char *argument;
	const char *help;
};

struct vmt_options {
	const char *values[VMT_OPTIONS_MAX]; /* NULL = not given; "" for one that takes none */
	/* All values of the option that repeats, in their order. */
	const char *repeated[VMT_OPTIONS_REPEATED_MAX];
	int repeated_count;
	char **operands;
	int operand_count;
};

/* Reads argv[1..argc). With in_order the first operand ends the options; else options may follow
 * operands, and argv is reordered so that operands lie together. */
int vmt_options_parse(struct vmt_options *options, const struct vmt_option *table, int argc,
		      char **argv, bool in_order, struct vmt_err *err);

/* Index of text in a NULL-terminated list of words, or -EINVAL and a message with all
 * of them. */
int vmt_options_choose(const char *option, const char *text, const char *const *words,
		       struct vmt_err *err);

#endif
