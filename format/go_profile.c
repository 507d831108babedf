#include "format/go_profile.h"

#include "format/varint.h"

void
vmt_go_profile_begin(struct vmt_go_profile_coder *coder)
{
	*coder = (struct vmt_go_profile_coder){0};
}

bool
vmt_go_profile_is_row(const struct vmt_go_profile_row *row)
{
	return row->objects != 0 && row->object_bytes != 0 &&
	       row->object_bytes <= VMT_GO_PROFILE_MOST_BYTES / row->objects &&
	       row->frames <= VMT_GO_PROFILE_FRAMES;
}

unsigned char *
vmt_go_profile_put(struct vmt_go_profile_coder *coder, unsigned char *at,
		   const struct vmt_go_profile_row *row, const uint64_t *addresses)
{
	at = vmt_varint_put(at, row->objects);
	at = vmt_varint_put(at, row->object_bytes);
	at = vmt_varint_put(at, row->frames);
	for (uint32_t i = 0; i < row->frames; i++) {
		at = vmt_varint_put(at, vmt_varint_fold(addresses[i] - coder->address));
		coder->address = addresses[i];
	}
	return at;
}

bool
vmt_go_profile_get(struct vmt_go_profile_coder *coder, const unsigned char **at,
		   const unsigned char *end, struct vmt_go_profile_row *row, uint64_t *addresses)
{
	uint64_t frames;

	if (!vmt_varint_get(at, end, &row->objects) ||
	    !vmt_varint_get(at, end, &row->object_bytes) ||
	    !vmt_varint_get_bounded(at, end, VMT_GO_PROFILE_FRAMES, &frames))
		return false;
	row->frames = (uint32_t)frames;
	for (uint32_t i = 0; i < row->frames; i++) {
		uint64_t delta;

		if (!vmt_varint_get(at, end, &delta))
			return false;
		coder->address += vmt_varint_unfold(delta);
		addresses[i] = coder->address;
	}
	return vmt_go_profile_is_row(row);
}
