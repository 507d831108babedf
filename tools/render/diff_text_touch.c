#include "tools/render/diff_change.h"
#include "tools/render/diff_group_rows.h"
#include "tools/render/diff_text.h"
#include "tools/render/text_sections.h"

#include <stdio.h>

/* Below this nobody asks who it was. */
#define WORTH_NAMING_BYTES (UINT64_C(64) << 10)

static void
print_row(const struct vmt_diff_site *row, const struct vmt_diff_text_options *options)
{
	const struct vmt_text_options text = {.layout = options->layout,
					      .callers = options->callers};
	char change[VMT_DIFF_CHANGE_BYTES];
	char a[VMT_UNITS_BYTES];
	char b[VMT_UNITS_BYTES];
	char figures[96];

	snprintf(figures, sizeof(figures), "%c%11s %9s %9s", row->estimate ? '~' : ' ',
		 vmt_diff_change_write(change, &row->committed_bytes),
		 vmt_units_bytes(a, row->committed_bytes.a),
		 vmt_units_bytes(b, row->committed_bytes.b));
	vmt_text_sections_named(&text, figures,
				row->match == VMT_DIFF_NEW    ? "new touch"
				: row->match == VMT_DIFF_GONE ? "gone touch"
							      : "touch",
				&row->shown->stack);
}

static void
print_rows(const struct vmt_diff_rows *rows, const struct vmt_diff_text_options *options)
{
	const struct vmt_text_options text = {.layout = options->layout};
	bool estimates = false;
	size_t worth = 0;

	while (worth < rows->count &&
	       vmt_diff_distance(&rows->sites[worth].committed_bytes) >= WORTH_NAMING_BYTES)
		worth++;
	for (size_t i = 0; i < worth && i < options->top; i++) {
		if (i == 0) {
			vmt_text_sections_title(&text,
						"Committed by, by change: whose touches made "
						"pages resident");
			vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %11s %9s %9s  code",
					"change", "A", "B");
		}
		print_row(&rows->sites[i], options);
		estimates |= rows->sites[i].estimate;
	}
	if (worth > options->top)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  and %zu more",
				worth - options->top);
	if (estimates)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"~ = about: estimated from sampled page faults");
}

void
vmt_diff_text_touch(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	struct vmt_diff_rows rows = {.count = 0};

	if (!diff->touch)
		return;
	if (vmt_diff_group_rows_merge(&rows, diff->touch, options->callers))
		print_rows(&rows, options);
	vmt_diff_group_rows_free(&rows);
}
