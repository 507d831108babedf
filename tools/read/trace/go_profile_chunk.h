/*
 * go_profile_chunk.h: decodes a GO_PROFILE chunk.
 *
 * Takes the payload apart (format/go_profile.h). Bytes are untrusted: there are no more rows and
 * frames than the payload can hold.
 */
#ifndef VMT_GO_PROFILE_CHUNK_H
#define VMT_GO_PROFILE_CHUNK_H

#include "format/chunk.h"
#include "format/go_profile.h"
#include "tools/err.h"

#include <stddef.h>

/* As many rows as the head says. */
struct vmt_go_profile_read {
	struct vmt_go_profile_head head;
	struct vmt_go_profile_row *rows; /* NULL: there is no profile */
	uint64_t *addresses;		 /* of all rows, one behind the other */
	size_t address_count;
};

/* header: of the chunk. 0 or a negative errno; free it after 0. */
int vmt_go_profile_chunk_read(struct vmt_go_profile_read *profile, const struct vmt_chunk *header,
			      const unsigned char *payload, size_t length, struct vmt_err *err);
void vmt_go_profile_chunk_free(struct vmt_go_profile_read *profile);

#endif
