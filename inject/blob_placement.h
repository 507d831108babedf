/*
 * blob_placement.h: the blob in a process: mapped and written, not run
 *
 * Text is readable and executable from the beginning, and written from outside alone. Calls are
 * made by a stopped thread of the process (remote_call.h). Single-threaded. Errors: negative errno.
 */
#ifndef VMT_BLOB_PLACEMENT_H
#define VMT_BLOB_PLACEMENT_H

#include "blob/blob_parameters.h"
#include "inject/blob_image.h"
#include "inject/remote_call.h"

struct vmt_blob_placement {
	struct vmt_blob_image image;
	uint64_t address; /* 0: not mapped */
};

/* image is read already. */
int vmt_blob_placement_map(struct vmt_blob_placement *placement, struct vmt_remote *remote);
void vmt_blob_placement_unmap(struct vmt_blob_placement *placement, struct vmt_remote *remote);

/* With the parameters, whose low and high it fills in. */
int vmt_blob_placement_write(const struct vmt_blob_placement *placement,
			     const struct vmt_target *target,
			     struct vmt_blob_parameters *parameters);

/* What it answers: it comes from the program's memory, where anybody may have written. Counts and
 * ranges are within their bounds afterwards, and `why` is a string of printable ASCII, others are
 * '?'. -EBADMSG: they were not. */
int vmt_blob_placement_read(const struct vmt_blob_placement *placement,
			    const struct vmt_target *target,
			    struct vmt_blob_parameters *parameters);

#endif
