/*
 * top_attach.h: has a process recorded for as long as `vmtrace top -a` watches it.
 *
 * By `vmtrace record -p`, in a process of its own, into a directory of its own below $TMPDIR. Both
 * are looked after by one more process, which outlives this one: however this one ends, the
 * recorder leaves the process, and the directory is removed. Single-threaded.
 */
#ifndef VMT_TOP_ATTACH_H
#define VMT_TOP_ATTACH_H

#include "tools/err.h"

#include <stdint.h>

struct vmt_top_attach;

/* Returns once its calls are recorded: 0; or a negative errno and a message, which says why they
 * can't be. */
int vmt_top_attach_begin(struct vmt_top_attach **attach, uint32_t pid, struct vmt_err *err);

/* Its trace. */
const char *vmt_top_attach_trace(const struct vmt_top_attach *attach);

/* Leaves the process, and says on stderr what is left in it. Waits for that for ten seconds at the
 * most; then says that it goes on. NULL: nothing to do. */
void vmt_top_attach_end(struct vmt_top_attach *attach);

#endif
