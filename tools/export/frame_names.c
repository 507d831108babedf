#include "tools/export/frame_names.h"

#include "tools/render/frame_text.h"

#include <assert.h>

static size_t
stack_frames(const struct vmt_profile_row *row)
{
	return row->stack ? row->stack->count : 0;
}

size_t
vmt_frame_names_count(const struct vmt_profile_row *row)
{
	size_t count = stack_frames(row) + (row->leaf != NULL);

	return count ? count : 1;
}

void
vmt_frame_names_get(const struct vmt_profile_row *row, size_t place, const char *separators,
		    struct vmt_frame_name *result)
{
	size_t frames = stack_frames(row);
	char name[VMT_CLEAN_TEXT_BYTES];
	const struct vmt_frame *frame;

	assert(place < vmt_frame_names_count(row));
	result->file = NULL;
	result->line = 0;
	if (place >= frames) {
		vmt_clean_text_copy(result->name, row->leaf ? row->leaf : VMT_PROFILE_NO_STACK,
				    separators);
		return;
	}
	frame = &row->stack->frames[frames - 1 - place];
	if (!frame->function) {
		vmt_clean_text_copy(result->name, vmt_frame_text_write(frame, name, sizeof(name)),
				    separators);
		return;
	}
	vmt_clean_text_copy(result->name, frame->function, separators);
	result->file = frame->file;
	result->line = frame->line;
}
