#include "tools/render/diff_headline_touch.h"

#include "tools/render/diff_change.h"
#include "tools/render/diff_group_rows.h"
#include "tools/render/touch_rows.h"

#include <stdio.h>

/* The row that changed most as the whole did; NULL where none did. */
static const struct vmt_diff_site *
main_row(const struct vmt_diff_rows *rows, bool up)
{
	for (size_t i = 0; i < rows->count; i++)
		if ((vmt_diff_delta(&rows->sites[i].committed_bytes) > 0) == up &&
		    vmt_diff_distance(&rows->sites[i].committed_bytes) > 0)
			return &rows->sites[i];
	return NULL;
}

static void
say_row(struct vmt_sentence *sentence, const struct vmt_diff_site *row,
	const struct vmt_diff_figure *whole)
{
	uint64_t part = vmt_diff_distance(&row->committed_bytes);
	uint64_t all = vmt_diff_distance(whole);
	bool up = vmt_diff_delta(whole) > 0;
	char chain[1024];
	char change[VMT_DIFF_CHANGE_BYTES];

	if (part <= all / 2)
		return;
	vmt_sentence_say(sentence, ", %s%s by %s", part >= all - all / 10 ? "" : "mostly ",
			 up ? "first touched" : "touched less",
			 row->shown->stack.count ? vmt_touch_rows_chain(&row->shown->stack, " <- ",
									chain, sizeof(chain))
						 : "code without a stack");
	if (row->estimate || part < all - all / 10)
		vmt_sentence_say(sentence, " (%s%s)", row->estimate ? "about " : "",
				 vmt_diff_change_write(change, &row->committed_bytes));
}

void
vmt_diff_headline_touch_say(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *committed = &diff->totals.committed_bytes;
	struct vmt_diff_rows rows = {.count = 0};
	const struct vmt_diff_site *row;

	if (!diff->touch || vmt_diff_distance(committed) <= diff->verdict.committed_noise_bytes)
		return;
	if (vmt_diff_group_rows_merge(&rows, diff->touch, 0)) {
		row = main_row(&rows, vmt_diff_delta(committed) > 0);
		if (row)
			say_row(sentence, row, committed);
	}
	vmt_diff_group_rows_free(&rows);
}
