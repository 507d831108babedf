/*
 * output.h: where a command's result goes: standard output, or a file that is whole or not there.
 *
 * A file is written without a name, or beside its place where the file system has no files without
 * a name, and takes its place when all of it is written. So a full disk or a kill leaves what was
 * there before. A device or a pipe is written to as it is. One thread's.
 */
#ifndef VMT_OUTPUT_H
#define VMT_OUTPUT_H

#include "tools/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct vmt_output {
	FILE *file;
	bool is_stdout;
	bool is_nameless;	   /* until it takes its place */
	char path[PATH_MAX];	   /* its place; "" where it is written to as it is */
	char beside[PATH_MAX + 8]; /* its name until then */
};

/* path: NULL or "-" is standard output, which must be no terminal where the output is binary. What
 * the input is read from is never written over. A file that takes another's place gets its mode,
 * and its owner and group where they can be given. keeps_owner: else it is an error, and a new file
 * is its user's alone until the caller says more. inputs: NULL-terminated paths. Each opened output
 * is to be closed. */
int vmt_output_open(struct vmt_output *output, const char *path, bool is_binary, bool keeps_owner,
		    const char *const *inputs, struct vmt_err *err);

/* result: of what wrote to it. Below 0: the file does not take its place. Returns result, or a
 * negative errno where something could not be written. */
int vmt_output_close(struct vmt_output *output, int result, struct vmt_err *err);

#endif
