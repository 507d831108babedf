#include "tools/render/text_sections.h"

#include "tools/render/frame_text.h"

#include <inttypes.h>
#include <string.h>

void
vmt_text_sections_title(const struct vmt_text_options *options, const char *text)
{
	vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "%s", "");
	vmt_layout_line(&options->layout, VMT_STYLE_TITLE, "%s", text);
}

void
vmt_text_sections_callers(const struct vmt_layout *layout, const struct vmt_stack_frames *stack,
			  size_t callers, size_t indent)
{
	struct vmt_rank_walk walk;
	const struct vmt_frame *frame;
	char line[VMT_LAYOUT_LINE_BYTES];
	char name[1600];

	if (!layout->whole && indent + 20 > layout->columns)
		indent = 4;
	vmt_rank_walk_begin(&walk, stack, callers);
	(void)vmt_rank_walk_next(&walk);
	while ((frame = vmt_rank_walk_next(&walk)) != NULL) {
		const char *arrow = walk.skipped ? "<- ... <- " : "<- ";
		size_t before = indent + strlen(arrow);

		vmt_frame_text_fit(layout, frame, name, sizeof(name), layout->columns - before);
		snprintf(line, sizeof(line), "%*s%s%s", (int)indent, "", arrow, name);
		vmt_layout_row(layout, VMT_STYLE_DIM, line, before);
	}
}

void
vmt_text_sections_named(const struct vmt_text_options *options, const char *figures,
			const char *kind, const struct vmt_stack_frames *stack)
{
	const struct vmt_layout *layout = &options->layout;
	size_t owner = vmt_rank_owner(stack);
	size_t indent = strlen(figures) + 2;
	size_t room = strlen(kind) + 1;
	char line[VMT_LAYOUT_LINE_BYTES];
	char name[1600] = "(no stack)";

	if (!layout->whole && indent + room + 12 > layout->columns) {
		vmt_layout_line(layout, VMT_STYLE_PLAIN, "%s", figures);
		figures = "  ";
		indent = 4;
	}
	room = layout->columns > indent + room ? layout->columns - indent - room : 1;
	if (stack->count)
		vmt_frame_text_fit(layout, &stack->frames[owner], name, sizeof(name), room);
	snprintf(line, sizeof(line), "%s  %s %s", figures, kind, name);
	vmt_layout_row(layout, VMT_STYLE_PLAIN, line, indent);
	vmt_text_sections_callers(layout, stack, options->callers, indent);
}

void
vmt_text_selection(const struct vmt_text_options *options)
{
	char text[256];

	if (options->selection && vmt_selection_is_partial(options->selection->patterns))
		vmt_layout_wrap(&options->layout, VMT_STYLE_TITLE,
				vmt_selection_write(options->selection, text, sizeof(text)), 2);
}
