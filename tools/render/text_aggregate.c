#include "tools/render/aggregate.h"
#include "tools/render/group_rows.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <stdio.h>

/* Narrower than this, a row drops its figures of the run. */
#define WIDE_COLUMNS 84u

/* The figures of a row, in columns; the name is to follow. */
static void
print_figures(const struct vmt_report *report, const struct vmt_text_options *options,
	      enum vmt_layout_style style, const struct vmt_site *sum, const char *name)
{
	char figures[4][VMT_UNITS_BYTES];
	char shares[2][VMT_UNITS_RATIO_BYTES];
	char line[VMT_LAYOUT_LINE_BYTES];
	char fitting[1600];
	bool looked = report->snapshot.taken;
	size_t columns = options->layout.columns;
	int used;
	bool known = sum->count != 0 || sum->released_bytes != 0; /* of the run */

	used = snprintf(
	    line, sizeof(line), "%c%10s %6s %10s %6s", sum->estimate ? '~' : ' ',
	    looked ? vmt_units_bytes(figures[0], sum->committed_bytes) : "unknown",
	    vmt_units_ratio(shares[0], sum->committed_bytes,
			    looked ? report->snapshot.rss_bytes : 0),
	    vmt_units_bytes(figures[1], sum->reserved_bytes),
	    vmt_units_ratio(shares[1], sum->committed_bytes, looked ? sum->reserved_bytes : 0));
	if (columns >= WIDE_COLUMNS)
		used += snprintf(line + used, sizeof(line) - (size_t)used, " %10s %9s",
				 known ? vmt_units_bytes(figures[2], sum->released_bytes) : "-",
				 known ? vmt_units_count(figures[3], sum->count) : "-");
	vmt_layout_shorten(&options->layout, fitting, sizeof(fitting), name,
			   columns > (size_t)used + 12 ? columns - (size_t)used - 2 : 10);
	snprintf(line + used, sizeof(line) - (size_t)used, "  %s", fitting);
	vmt_layout_row(&options->layout, style, line, (size_t)used + 2);
}

/* Rows beyond those that are shown, and what no call site has: so that all adds up. */
static void
print_rest(const struct vmt_report *report, const struct vmt_text_options *options,
	   const struct vmt_aggregate *aggregate, size_t shown)
{
	struct vmt_site others = {.count = 0};
	struct vmt_site rest = {.count = 0};
	const struct vmt_site *all = &aggregate->all;
	char name[64];

	for (size_t i = shown; i < aggregate->count; i++)
		vmt_group_rows_add(&others, &aggregate->rows[i].sum);
	snprintf(name, sizeof(name), "(%zu more)", aggregate->count - shown);
	if (shown < aggregate->count)
		print_figures(report, options, VMT_STYLE_DIM, &others, name);
	if (options->selection && vmt_selection_is_partial(options->selection->patterns)) {
		print_figures(report, options, VMT_STYLE_TITLE, all, "sum of what was chosen");
		return;
	}
	if (!report->snapshot.taken || all->committed_bytes > report->snapshot.rss_bytes) {
		print_figures(report, options, VMT_STYLE_TITLE, all, "sum of all call sites");
		return;
	}
	rest.committed_bytes = report->snapshot.rss_bytes - all->committed_bytes;
	rest.reserved_bytes = report->snapshot.virtual_bytes > all->reserved_bytes
				  ? report->snapshot.virtual_bytes - all->reserved_bytes
				  : 0;
	rest.estimate = all->estimate;
	print_figures(report, options, VMT_STYLE_PLAIN, &rest,
		      "(no call site: files, stacks, what allocators keep, vmtrace)");
	vmt_group_rows_add(&rest, all);
	rest.estimate = false;
	print_figures(report, options, VMT_STYLE_TITLE, &rest, "total = RSS");
}

void
vmt_text_aggregate(const struct vmt_report *report, const struct vmt_text_options *options)
{
	enum vmt_rank_by rank = !report->snapshot.taken && options->rank == VMT_RANK_COMMITTED
				    ? VMT_RANK_RESERVED
				    : options->rank;
	bool wide = options->layout.columns >= WIDE_COLUMNS;
	struct vmt_aggregate aggregate;
	size_t shown;
	char text[128];

	if (vmt_aggregate_make(&aggregate, report, options->by, rank) < 0)
		return;
	shown = aggregate.count < options->top ? aggregate.count : options->top;
	snprintf(text, sizeof(text), "By %s, by %s, %zu of %zu",
		 vmt_aggregate_words[options->by - VMT_AGGREGATE_FUNCTION], vmt_rank_words[rank],
		 shown, aggregate.count);
	vmt_text_sections_title(options, text);
	vmt_text_selection(options);
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %10s %6s %10s %6s%s  %s", "committed",
			"of RSS", "reserved", "ratio", wide ? "   released     count" : "",
			vmt_aggregate_words[options->by - VMT_AGGREGATE_FUNCTION]);
	for (size_t i = 0; i < shown; i++)
		print_figures(report, options, VMT_STYLE_PLAIN, &aggregate.rows[i].sum,
			      aggregate.rows[i].name);
	print_rest(report, options, &aggregate, shown);
	if (aggregate.all.estimate)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "~ = estimated from samples");
	vmt_aggregate_free(&aggregate);
}
