/*
 * go_large_chunk.h: decodes a GO_LARGE chunk.
 *
 * Takes the payload apart (format/go_large.h). Bytes are untrusted: there are no more sites, frames
 * and objects than the payload can hold, objects are by rising address and without overlap, and
 * each has a site.
 */
#ifndef VMT_GO_LARGE_CHUNK_H
#define VMT_GO_LARGE_CHUNK_H

#include "format/chunk.h"
#include "format/go_large.h"
#include "format/go_profile.h"
#include "tools/err.h"

#include <stddef.h>

/* As many of each as the head says. */
struct vmt_go_large_read {
	struct vmt_go_large_head head;
	struct vmt_go_profile_row *sites; /* NULL: there is no chunk */
	uint64_t *addresses;		  /* of all sites, one behind the other */
	size_t address_count;
	struct vmt_go_large_object *objects;
};

/* header: of the chunk. 0 or a negative errno; free it after 0. */
int vmt_go_large_chunk_read(struct vmt_go_large_read *large, const struct vmt_chunk *header,
			    const unsigned char *payload, size_t length, struct vmt_err *err);
void vmt_go_large_chunk_free(struct vmt_go_large_read *large);

#endif
