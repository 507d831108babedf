#include "tools/render/touch_names.h"

#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 1024u

/* So many callers of the frame that names a stack. */
static void
add_callers(const struct vmt_stack_frames *stack, size_t callers, char *result, size_t result_bytes)
{
	struct vmt_rank_walk walk;
	const struct vmt_frame *frame;

	vmt_rank_walk_begin(&walk, stack, callers);
	(void)vmt_rank_walk_next(&walk);
	for (size_t i = 0; i < callers && (frame = vmt_rank_walk_next(&walk)) != NULL; i++) {
		size_t used = strlen(result);
		struct vmt_frame bare = *frame;
		char name[NAME_BYTES];

		bare.file = NULL;
		bare.module = frame->function ? NULL : frame->module;
		snprintf(result + used, result_bytes - used, " <- %s",
			 vmt_frame_text_write(&bare, name, sizeof(name)));
	}
}

/* Whether another site, which rows show apart, has the same name with so many callers. */
static bool
is_ambiguous(const struct vmt_report *report, const struct vmt_site *site, size_t callers,
	     size_t most_callers)
{
	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *other = &report->sites[i];

		if (other->committed_bytes != 0 && other->stack.count != 0 &&
		    vmt_group_rows_is_same(site, other, callers) &&
		    !vmt_group_rows_is_same(site, other, most_callers))
			return true;
	}
	return false;
}

char *
vmt_touch_names_reserver(const struct vmt_report *report, const struct vmt_site *site,
			 size_t callers, char *result, size_t result_bytes)
{
	size_t told = 0;

	while (told < callers && is_ambiguous(report, site, told, callers))
		told++;
	vmt_frame_text_owner(&site->stack, result, result_bytes);
	add_callers(&site->stack, told, result, result_bytes);
	return result;
}

static char *
name_with(const struct vmt_stack_frames *stack, size_t callers, char *result, size_t result_bytes)
{
	if (stack->count == 0) {
		snprintf(result, result_bytes, "code without a stack");
		return result;
	}
	vmt_touch_rows_chain(stack, " <- ", result, result_bytes);
	add_callers(stack, callers, result, result_bytes);
	return result;
}

char *
vmt_touch_names_toucher(const struct vmt_stack_frames *stack, const struct vmt_stack_frames *other,
			size_t callers, char *result, size_t result_bytes)
{
	char others[NAME_BYTES];

	for (size_t told = 0;; told++) {
		name_with(stack, told, result, result_bytes);
		if (!other || told >= callers ||
		    strcmp(name_with(other, told, others, sizeof(others)), result) != 0)
			return result;
	}
}
