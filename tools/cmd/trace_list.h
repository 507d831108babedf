/*
 * trace_list.h: lists the traces of a directory.
 *
 * Each file that ends in .vmt, with the largest RSS that was seen, largest first. Whole reports are
 * not made: it costs as much as reading the traces' chunks of RSS and snapshots.
 */
#ifndef VMT_TRACE_LIST_H
#define VMT_TRACE_LIST_H

#include "tools/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether the path is a directory. */
bool vmt_trace_list_is_for(const char *path);

#define VMT_TRACE_LIST_MOST 100000u

/* Looks at `most` traces and counts the others; prints to stdout, at most `top` of them. 0 or a
 * negative errno; -ENOENT: no trace is there. */
int vmt_trace_list_print(const char *directory, size_t most, size_t top, bool json,
			 struct vmt_err *err);

#endif
