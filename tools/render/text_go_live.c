#include "tools/render/frame_text.h"
#include "tools/render/sentence.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <string.h>

#define CALLERS_MOST 3u

/* The line, and its callers until one is of the program's own package. */
static void
name_row(const struct vmt_go_live *row, char *name, size_t name_bytes)
{
	struct vmt_sentence sentence = {name, name_bytes, 0};
	char frame[512];

	if (row->stack.count == 0) {
		vmt_sentence_say(&sentence, "a stack that the runtime did not keep");
		return;
	}
	vmt_sentence_say(&sentence, "%s",
			 vmt_frame_text_write(&row->stack.frames[0], frame, sizeof(frame)));
	for (size_t i = 1; i < row->stack.count && i <= CALLERS_MOST; i++) {
		const char *before = row->stack.frames[i - 1].function;
		const char *function = row->stack.frames[i].function;

		if (!function || (before && strncmp(before, "main.", 5) == 0))
			return;
		vmt_sentence_say(&sentence, " < %s", function);
	}
}

static void
print_title(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence sentence = {text, sizeof(text), 0};
	char rate[VMT_UNITS_BYTES];

	vmt_sentence_say(&sentence, "Live objects by Go line, ");
	vmt_sentence_say(&sentence, "%s",
			 report->go.is_uncollected
			     ? "before the first garbage collection"
			     : "as of the last garbage collection or the one before");
	if (report->go.profile_rate_bytes > 1)
		vmt_sentence_say(&sentence, " (about: Go samples one object in %s)",
				 vmt_units_bytes(rate, report->go.profile_rate_bytes));
	vmt_sentence_say(&sentence, ":");
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
}

void
vmt_text_go_live(const struct vmt_report *report, const struct vmt_text_options *options)
{
	size_t shown = report->go.live_count < options->top ? report->go.live_count : options->top;
	const char *about = report->go.profile_rate_bytes == 1 ? "" : "~";
	char name[1024];
	char bytes[VMT_UNITS_BYTES];

	if (report->go.live_count == 0)
		return;
	print_title(report, options);
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, "   %10s  %10s   %s", "objects", "bytes",
			"allocated in");
	for (size_t i = 0; i < shown; i++) {
		const struct vmt_go_live *row = &report->go.live[i];

		name_row(row, name, sizeof(name));
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN,
				"  %1s%10" PRIu64 " %1s%10s   %s", about, row->objects, about,
				vmt_units_bytes(bytes, row->bytes), name);
	}
	if (report->go.live_count > shown)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  %zu more lines",
				report->go.live_count - shown);
}
