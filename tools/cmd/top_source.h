/*
 * top_source.h: where `vmtrace top` gets its readings from.
 *
 * A trace, that of a process which is being recorded, a process that is not, whose memory is
 * looked at from outside, or several traces and all of directories. Single-threaded.
 */
#ifndef VMT_TOP_SOURCE_H
#define VMT_TOP_SOURCE_H

#include "tools/err.h"
#include "tools/top/top_reading.h"

struct vmt_top_source;

/* operands, `count` of them: one file, or the number of a process where there is no such file;
 * else files and directories. They outlive it. attaches: a process that is not recorded is, until
 * it is closed (top_attach.h). */
int vmt_top_source_open(struct vmt_top_source **source, char *const *operands, int count,
			const char *sysroot, bool attaches, struct vmt_err *err);
void vmt_top_source_close(struct vmt_top_source *source);

/* How it is now. 0, or a negative errno and a message; nothing is to be freed then. */
int vmt_top_source_read(struct vmt_top_source *source, struct vmt_top_reading *reading,
			struct vmt_err *err);

/* Whether a process was attached to for it. */
bool vmt_top_source_is_attached(const struct vmt_top_source *source);

/* The view to begin with: that which says most. */
enum vmt_top_view vmt_top_source_view(const struct vmt_top_source *source);

#endif
