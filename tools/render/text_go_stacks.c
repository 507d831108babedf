#include "tools/render/frame_text.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <string.h>

/* No go statement starts it, but assembly does, by the function that go statements call: no other
 * goroutine has that for its creator. */
static bool
is_main(const struct vmt_frame *frame)
{
	return frame->function && (strcmp(frame->function, "runtime.newproc") == 0 ||
				   strncmp(frame->function, "runtime.rt0_go", 14) == 0);
}

static void
name_row(const struct vmt_go_creator *row, char *name, size_t name_bytes)
{
	if (row->has_ended)
		snprintf(name, name_bytes, "ended: their stacks wait for new goroutines");
	else if (row->stack.count == 0)
		snprintf(name, name_bytes, "started by the runtime");
	else if (is_main(&row->stack.frames[0]))
		snprintf(name, name_bytes, "the main goroutine (runtime.main)");
	else
		vmt_frame_text_write(&row->stack.frames[0], name, name_bytes);
}

void
vmt_text_go_stacks(const struct vmt_report *report, const struct vmt_text_options *options)
{
	size_t shown =
	    report->go.creator_count < options->top ? report->go.creator_count : options->top;
	char name[512];
	char reserved[VMT_UNITS_BYTES];
	char resident[VMT_UNITS_BYTES];

	if (report->go.creator_count == 0)
		return;
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  %10s %10s %10s   %s", "goroutines",
			"stacks", "resident", "started by the go statement in");
	for (size_t i = 0; i < shown; i++) {
		const struct vmt_go_creator *row = &report->go.creators[i];

		name_row(row, name, sizeof(name));
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "  %10" PRIu64 " %10s %10s   %s",
				row->goroutines, vmt_units_bytes(reserved, row->reserved_bytes),
				vmt_units_bytes(resident, row->committed_bytes), name);
	}
	if (report->go.creator_count > shown)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  %zu more go statements",
				report->go.creator_count - shown);
}
