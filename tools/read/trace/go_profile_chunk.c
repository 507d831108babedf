#include "tools/read/trace/go_profile_chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROW_LEAST_BYTES 3u

void
vmt_go_profile_chunk_free(struct vmt_go_profile_read *profile)
{
	free(profile->rows);
	free(profile->addresses);
	*profile = (struct vmt_go_profile_read){.rows = NULL};
}

/* A frame is a byte at least, so that what the rows hold fits. */
static bool
read_rows(struct vmt_go_profile_read *profile, const unsigned char *at, const unsigned char *end)
{
	struct vmt_go_profile_coder coder;

	vmt_go_profile_begin(&coder);
	for (uint64_t i = 0; i < profile->head.rows; i++) {
		uint64_t frames[VMT_GO_PROFILE_FRAMES];
		struct vmt_go_profile_row *row = &profile->rows[i];

		if (!vmt_go_profile_get(&coder, &at, end, row, frames))
			return false;
		memcpy(profile->addresses + profile->address_count, frames,
		       row->frames * sizeof(*frames));
		profile->address_count += row->frames;
	}
	return true;
}

int
vmt_go_profile_chunk_read(struct vmt_go_profile_read *profile, const struct vmt_chunk *header,
			  const unsigned char *payload, size_t length, struct vmt_err *err)
{
	size_t bytes;

	*profile = (struct vmt_go_profile_read){.rows = NULL};
	if (header->record_bytes < sizeof(profile->head) || header->record_bytes > length)
		return vmt_err_set(err, EBADMSG, "a Go memory profile, of %zu bytes, has no head",
				   length);
	bytes = length - header->record_bytes;
	memcpy(&profile->head, payload, sizeof(profile->head));
	if (profile->head.rows <= bytes / ROW_LEAST_BYTES) {
		profile->rows = calloc((size_t)profile->head.rows + 1, sizeof(*profile->rows));
		profile->addresses = calloc(bytes + 1, sizeof(*profile->addresses));
	}
	if (profile->rows && profile->addresses &&
	    read_rows(profile, payload + header->record_bytes, payload + length))
		return 0;
	vmt_go_profile_chunk_free(profile);
	return vmt_err_set(err, EBADMSG, "a Go memory profile is cut or wrong");
}
