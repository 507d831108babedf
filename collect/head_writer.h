/*
 * head_writer.h: writes a head that does not lie in the trace file into it
 *
 * Where the head can't be mapped from the trace (shm_fallback.h), the collector copies it there by
 * plain writes: what is in the tables before each chunk that may refer to it, the head and the
 * rings' control words beside it, and at the end what the rings still hold. It keeps a copy
 * of what it has written and writes the pages that differ. In the file each ring ends where the
 * chunks end: no reader looks for events in slots that are not there. So the file is an ordinary
 * trace at every moment, of what was drained. Single-threaded; base is the target's to damage, its
 * layout was checked. Errors: negative errno; what could not be written is written the next time.
 */
#ifndef VMT_HEAD_WRITER_H
#define VMT_HEAD_WRITER_H

#include "format/head.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_drain;

struct vmt_head_writer {
	int fd;			       /* of the trace */
	const struct vmt_head *layout; /* checked */
	const unsigned char *base;     /* the head and its regions, mapped */
	const struct vmt_drain *drain; /* how far the chunks account for each ring */
	unsigned char *copy;	       /* as base, as it is in the file */
	bool uncertain;		       /* a write failed: the file may differ from the copy */
};

/* Takes memory for the copy: the file behind the fields holds zeros up to the layout's chunks. */
int vmt_head_writer_open(struct vmt_head_writer *writer);
void vmt_head_writer_close(struct vmt_head_writer *writer);

/* Before a chunk: all that it may refer to. */
int vmt_head_writer_write(struct vmt_head_writer *writer);

/* After the last chunk: the rings as they are. */
int vmt_head_writer_finish(struct vmt_head_writer *writer);

#endif
