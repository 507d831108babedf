#include "tools/render/frame_text.h"

#include "tools/render/rank.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define NAME_LEAST_COLUMNS 8u

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

char *
vmt_frame_text_write(const struct vmt_frame *frame, char *result, size_t result_bytes)
{
	size_t used;

	assert(result_bytes > 0);
	if (frame->function)
		used = (size_t)snprintf(result, result_bytes, "%s", frame->function);
	else if (frame->module)
		used = (size_t)snprintf(result, result_bytes, "%s+0x%" PRIx64,
					base_name(frame->module), frame->module_offset);
	else
		used = (size_t)snprintf(result, result_bytes, "0x%" PRIx64, frame->address);
	if (used >= result_bytes)
		return result;
	if (frame->file && frame->line)
		snprintf(result + used, result_bytes - used, " %s:%" PRIu32, base_name(frame->file),
			 frame->line);
	else if (frame->function && frame->module)
		snprintf(result + used, result_bytes - used, " (%s)", base_name(frame->module));
	return result;
}

char *
vmt_frame_text_owner(const struct vmt_stack_frames *stack, char *result, size_t result_bytes)
{
	struct vmt_rank_walk walk;
	const struct vmt_frame *caller;
	char name[512];
	size_t used;

	vmt_rank_walk_begin(&walk, stack, 0);
	vmt_frame_text_write(vmt_rank_walk_next(&walk), result, result_bytes);
	used = strlen(result);
	caller = vmt_rank_walk_next(&walk);
	if (caller)
		snprintf(result + used, result_bytes - used, " (called by %s)",
			 caller->function ? caller->function
					  : vmt_frame_text_write(caller, name, sizeof(name)));
	return result;
}

char *
vmt_frame_text_fit(const struct vmt_layout *layout, const struct vmt_frame *frame, char *result,
		   size_t result_bytes, size_t columns)
{
	struct vmt_frame bare = *frame;
	char name[1024];
	char line[512] = "";
	size_t width;

	bare.file = NULL;
	if (frame->file && frame->line) {
		bare.module = frame->function ? NULL : frame->module;
		snprintf(line, sizeof(line), " %s:%" PRIu32, base_name(frame->file), frame->line);
	}
	vmt_frame_text_write(&bare, name, sizeof(name));
	width = vmt_layout_width(layout, line);
	columns = columns > width + NAME_LEAST_COLUMNS ? columns - width : NAME_LEAST_COLUMNS;
	vmt_layout_shorten(layout, result, result_bytes, name, columns);
	width = strlen(result);
	snprintf(result + width, result_bytes - width, "%s", line);
	return result;
}
