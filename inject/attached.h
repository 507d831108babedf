/*
 * attached.h: what is known of a process that the recorder was put into while it ran
 *
 * Filled in by attach.h, used by detach.h and leave.h.
 */
#ifndef VMT_ATTACHED_H
#define VMT_ATTACHED_H

#include "blob/blob_parameters.h"
#include "inject/attach_images.h"
#include "inject/blob_placement.h"
#include "inject/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A jump in Go's code, as it was noted by the blob. */
struct vmt_attach_jump {
	uint64_t address;
	uint8_t old_bytes[VMT_CUTS_JUMP_BYTES];
	uint8_t new_bytes[VMT_CUTS_JUMP_BYTES];
};

struct vmt_attach {
	pid_t pid;
	const unsigned char *blob; /* the object, as built */
	size_t blob_bytes;
	/* "VARIABLE=value", each with its NUL, and one NUL more. */
	const char *settings;
	size_t settings_bytes;
	bool wants_heap;	 /* calls of its allocator, too */
	bool (*must_stop)(void); /* asked before each file that is read; NULL: never */

	/* Filled in: */
	char why[VMT_WHY_BYTES]; /* it is not recorded; else empty */
	uint64_t stopped_ns;	 /* for how long its threads stood, all in all */
	uint32_t threads;
	bool is_held;	  /* a thread of it can't be let go but by this process's end */
	bool is_put_back; /* its code is what it was, though it may not have been left */
	size_t calls;	  /* system calls in its code that are led to the recorder */

	/* What is needed to leave it again. */
	struct vmt_blob_placement placement;
	struct vmt_attach_images images;
	struct vmt_blob_parameters parameters;
	struct vmt_return_call call; /* that the thread was in which made our calls */
	struct vmt_attach_jump jumps[VMT_BLOB_GO_PLACES];
	uint32_t jumps_count;
};

#endif
