#include "tools/render/diff_selection.h"

#include "tools/render/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void
add(struct vmt_diff_selection_sum *sum, const struct vmt_diff_site *row)
{
	sum->sites++;
	sum->committed_bytes.a += row->committed_bytes.a;
	sum->committed_bytes.b += row->committed_bytes.b;
	sum->reserved_bytes.a += row->reserved_bytes.a;
	sum->reserved_bytes.b += row->reserved_bytes.b;
	sum->estimate |= row->estimate;
}

/* Some of the diff's rows, in their order; shown is a copy of it. */
static int
select_rows(const struct vmt_selection_patterns *patterns, const struct vmt_diff *diff,
	    struct vmt_diff *shown, struct vmt_diff_selection_sum *part,
	    struct vmt_diff_selection_sum *all)
{
	*shown = *diff;
	shown->site_count = 0;
	shown->sites = calloc(diff->site_count + 1, sizeof(*shown->sites));
	if (!shown->sites)
		return -ENOMEM;
	for (size_t i = 0; i < diff->site_count; i++) {
		const struct vmt_diff_site *row = &diff->sites[i];

		add(all, row);
		if (!vmt_selection_takes(patterns, &row->shown->stack, row->kind,
					 row->shown->class))
			continue;
		add(part, row);
		shown->sites[shown->site_count++] = *row;
	}
	return 0;
}

int
vmt_diff_selection_make(struct vmt_diff_selection *selection,
			const struct vmt_selection_patterns *patterns, const struct vmt_diff *diff)
{
	struct vmt_diff_selection_sum touched[2] = {{.sites = 0}};
	int status;

	*selection = (struct vmt_diff_selection){.patterns = patterns};
	status = select_rows(patterns, diff, &selection->shown, &selection->part, &selection->all);
	if (!status && diff->touch) {
		status =
		    select_rows(patterns, diff->touch, &selection->touch, &touched[0], &touched[1]);
		selection->shown.touch = &selection->touch;
	}
	if (status)
		vmt_diff_selection_free(selection);
	return status;
}

void
vmt_diff_selection_free(struct vmt_diff_selection *selection)
{
	free(selection->shown.sites);
	free(selection->touch.sites);
	selection->shown.sites = NULL;
	selection->touch.sites = NULL;
}

static const char *
write_side(char *text, size_t text_bytes, uint64_t part, uint64_t all)
{
	char figures[2][VMT_UNITS_BYTES];

	snprintf(text, text_bytes, "%s of %s", vmt_units_bytes(figures[0], part),
		 vmt_units_bytes(figures[1], all));
	return text;
}

char *
vmt_diff_selection_write(const struct vmt_diff_selection *selection, char *text, size_t text_bytes)
{
	const struct vmt_diff_selection_sum *part = &selection->part;
	const struct vmt_diff_selection_sum *all = &selection->all;
	const char *about = all->estimate ? "about " : "";
	char a[64];
	char b[64];

	snprintf(text, text_bytes, "%zu of %zu call sites shown: committed %s%s in A, %s%s in B",
		 part->sites, all->sites, about,
		 write_side(a, sizeof(a), part->committed_bytes.a, all->committed_bytes.a), about,
		 write_side(b, sizeof(b), part->committed_bytes.b, all->committed_bytes.b));
	return text;
}
