/*
 * expanded.h: compressed traces that were expanded (expand.h), each once.
 *
 * A report about several traces opens each of them several times. What was expanded stays open, in
 * its temporary file, until the process ends: VMT_EXPANDED_FILES at most, with
 * VMT_EXPANDED_KEPT_BYTES together. Others, and those
 * that were written within the last second, are expanded anew each time, until
 * VMT_EXPANDED_ALL_BYTES were written: then no further one is, with a message that says so. One
 * thread's.
 */
#ifndef VMT_EXPANDED_H
#define VMT_EXPANDED_H

#include "tools/err.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_EXPANDED_FILES 128u
#define VMT_EXPANDED_KEPT_BYTES (UINT64_C(2) << 30)
#define VMT_EXPANDED_ALL_BYTES (UINT64_C(8) << 30)

/* As vmt_expand_file. */
int vmt_expanded_open(int *fd, const char *path, bool *was_compressed, struct vmt_err *err);

#endif
