#include "tools/render/diff_change.h"
#include "tools/render/diff_text.h"
#include "tools/render/frame_text.h"
#include "tools/render/text_sections.h"

#include <inttypes.h>
#include <stdio.h>

/* Below this nobody asks who it was. */
#define WORTH_NAMING_BYTES (UINT64_C(64) << 10)

/* More than how samples scatter. */
static bool
is_worth_naming(const struct vmt_diff_site *row)
{
	uint64_t distance = vmt_diff_distance(&row->committed_bytes);

	return distance >= WORTH_NAMING_BYTES && distance > row->error_bytes;
}

static void
print_row(const struct vmt_diff_site *row, const struct vmt_diff_text_options *options)
{
	char change[VMT_DIFF_CHANGE_BYTES];
	char a[VMT_UNITS_BYTES];
	char b[VMT_UNITS_BYTES];
	char name[512];

	vmt_layout_line(
	    &options->layout, VMT_STYLE_PLAIN, "%c%11s %9s %9s  %s%s", row->estimate ? '~' : ' ',
	    vmt_diff_change_write(change, &row->committed_bytes),
	    vmt_units_bytes(a, row->committed_bytes.a), vmt_units_bytes(b, row->committed_bytes.b),
	    row->match == VMT_DIFF_NEW	  ? "new: "
	    : row->match == VMT_DIFF_GONE ? "gone: "
					  : "",
	    vmt_frame_text_write(&row->shown->stack.frames[0], name, sizeof(name)));
}

void
vmt_diff_text_live(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	const struct vmt_text_options text = {.layout = options->layout};
	size_t shown = 0;

	for (size_t i = 0; diff->live && i < diff->live->site_count && shown < options->top; i++) {
		if (!is_worth_naming(&diff->live->sites[i]))
			continue;
		if (shown++ == 0) {
			vmt_text_sections_title(&text,
						"Live objects by Go line, by change: where samples "
						"scatter as much, a line is left out");
			vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %11s %9s %9s  line",
					"change", "A", "B");
		}
		print_row(&diff->live->sites[i], options);
	}
}

static bool
is_large_worth_naming(const struct vmt_diff_site *row)
{
	uint64_t committed = vmt_diff_distance(&row->committed_bytes);
	uint64_t reserved = vmt_diff_distance(&row->reserved_bytes);
	uint64_t most = committed > reserved ? committed : reserved;

	return most >= WORTH_NAMING_BYTES && most > row->error_bytes;
}

/* A row may lack these, on one side alone. */
static void
print_unread(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	char text[256];

	if (diff->a->go.large_unread == 0 && diff->b->go.large_unread == 0)
		return;
	snprintf(text, sizeof(text),
		 "Of unknown lines: %" PRIu64 " large objects of A and %" PRIu64
		 " of B. They changed while they were read, or were too many. A change above may "
		 "be theirs.",
		 diff->a->go.large_unread, diff->b->go.large_unread);
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
}

void
vmt_diff_text_large(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	const struct vmt_text_options text = {.layout = options->layout};
	size_t shown = 0;
	char texts[2][VMT_DIFF_CHANGE_BYTES];
	char name[512];

	for (size_t i = 0; diff->large && i < diff->large->site_count && shown < options->top;
	     i++) {
		const struct vmt_diff_site *row = &diff->large->sites[i];

		if (!is_large_worth_naming(row))
			continue;
		if (shown++ == 0) {
			vmt_text_sections_title(&text,
						"Large Go objects by line, by change in RAM: those "
						"that Go sampled");
			vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %11s %11s  line",
					"in RAM", "reserved");
		}
		vmt_layout_line(
		    &options->layout, VMT_STYLE_PLAIN, " %11s %11s  %s%s",
		    vmt_diff_change_write(texts[0], &row->committed_bytes),
		    vmt_diff_change_write(texts[1], &row->reserved_bytes),
		    row->match == VMT_DIFF_NEW	  ? "new: "
		    : row->match == VMT_DIFF_GONE ? "gone: "
						  : "",
		    vmt_frame_text_write(&row->shown->stack.frames[0], name, sizeof(name)));
	}
	if (shown != 0)
		print_unread(diff, options);
}
