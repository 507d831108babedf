#include "tools/render/group_rows.h"
#include "tools/render/text_sections.h"
#include "tools/render/touch_names.h"
#include "tools/render/touch_rows.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TOUCHERS_OF_SITE 2u
#define RESERVERS_OF_ROW 2u
#define MATRIX_ROWS 6u
#define MATRIX_COLUMNS 4u
#define WIDE_COLUMNS 84u
#define WORTH_NAMING_PART 20u /* of a row's bytes, at least so much is named */
#define WORTH_NAMING_BYTES (UINT64_C(1) << 20)
#define INDENT 13u

/* `other` is the one of the same row that is printed beside it, or NULL. */
static void
print_share(const struct vmt_text_options *options, const struct vmt_touch_rows *rows,
	    const struct vmt_touch_share *share, const struct vmt_touch_share *other)
{
	const struct vmt_stack_frames *others =
	    other && other->row != rows->count ? &rows->rows[other->row].first->stack : NULL;
	char bytes[VMT_UNITS_BYTES];
	char few[VMT_TOUCH_ROWS_FEW_BYTES];
	char chain[1024];
	char line[VMT_LAYOUT_LINE_BYTES];

	vmt_units_bytes(bytes, share->bytes);
	if (share->row == rows->count)
		snprintf(line, sizeof(line), "%*s%s of it: no sample tells who touched it",
			 (int)INDENT, "", bytes);
	else
		snprintf(line, sizeof(line), "%*stouched %s%s%s by %s", (int)INDENT, "",
			 share->estimate ? "~" : "", bytes,
			 vmt_touch_rows_few(share->samples, share->estimate, few),
			 vmt_touch_names_toucher(&rows->rows[share->row].first->stack, others,
						 options->callers, chain, sizeof(chain)));
	vmt_layout_row(&options->layout, VMT_STYLE_DIM, line, INDENT);
}

/* A part of the row; what no sample explains in a small row may be chance. */
static bool
is_worth_naming(const struct vmt_touch_rows *rows, const struct vmt_touch_share *share,
		uint64_t committed_bytes)
{
	if (share->row == rows->count && share->bytes < WORTH_NAMING_BYTES)
		return false;
	return share->bytes >= committed_bytes / WORTH_NAMING_PART;
}

/* Of what is more than half of the row; what the first snapshot shows is no news. */
static void
print_came_in(const struct vmt_text_options *options, const struct vmt_site *site)
{
	const struct vmt_came_in *came_in = &site->came_in;
	char bytes[VMT_UNITS_BYTES];
	char after[VMT_UNITS_BYTES];
	char by[VMT_UNITS_BYTES];

	if (site->committed_bytes < WORTH_NAMING_BYTES || !came_in->has_after ||
	    came_in->bytes <= site->committed_bytes / 2)
		return;
	vmt_layout_line(
	    &options->layout, VMT_STYLE_DIM,
	    "%*s%s%s of it came into RAM between snapshots %" PRIu32 " (%s) and %" PRIu32 " (%s)",
	    (int)INDENT, "", came_in->estimate ? "~" : "", vmt_units_bytes(bytes, came_in->bytes),
	    came_in->after + 1, vmt_units_duration(after, (uint64_t)came_in->after_ns),
	    came_in->by + 1, vmt_units_duration(by, (uint64_t)came_in->by_ns));
}

void
vmt_text_touch_site(const struct vmt_report *report, const struct vmt_text_options *options,
		    const struct vmt_site *site)
{
	struct vmt_touch_rows rows = {0};
	struct vmt_touch_share *shares;
	size_t count;

	if (report->committer_count == 0)
		print_came_in(options, site);
	if (report->committer_count == 0 || site->committed_bytes == 0)
		return;
	shares = calloc(report->committer_count + 1, sizeof(*shares));
	if (shares && vmt_touch_rows_make(&rows, report, options->callers)) {
		count = vmt_touch_rows_of_site(&rows, report, site, options->callers, shares);
		for (size_t i = 0; i < count && i < TOUCHERS_OF_SITE; i++)
			if (is_worth_naming(&rows, &shares[i], site->committed_bytes))
				print_share(options, &rows, &shares[i],
					    count > 1 ? &shares[!i] : NULL);
	}
	vmt_touch_rows_free(&rows);
	free(shares);
}

static void
print_reserver(const struct vmt_report *report, const struct vmt_text_options *options,
	       const struct vmt_reserved_part *part)
{
	const struct vmt_site *site =
	    part->site < report->site_count ? &report->sites[part->site] : NULL;
	char bytes[VMT_UNITS_BYTES];
	char name[1024];
	char line[VMT_LAYOUT_LINE_BYTES];

	vmt_units_bytes(bytes, part->bytes);
	if (site && site->stack.count)
		snprintf(
		    line, sizeof(line), "%*s%s%s of %s, by %s %s", (int)INDENT, "",
		    part->estimate ? "~" : "", bytes, part->class, site->kind,
		    vmt_touch_names_reserver(report, site, options->callers, name, sizeof(name)));
	else
		snprintf(line, sizeof(line), "%*s%s%s of %s", (int)INDENT, "",
			 part->estimate ? "~" : "", bytes, part->class);
	vmt_layout_row(&options->layout, VMT_STYLE_DIM, line, INDENT);
}

/* Whose memory a row touched: those who have most of it. */
static void
print_reservers(const struct vmt_report *report, const struct vmt_text_options *options,
		const struct vmt_touch_rows *rows, size_t row)
{
	struct vmt_reserved_part *parts = vmt_touch_rows_reserved(rows, report, row);

	for (size_t i = 0; parts && i < RESERVERS_OF_ROW; i++)
		if (parts[i].bytes > 0 &&
		    parts[i].bytes >= rows->rows[row].committed_bytes / WORTH_NAMING_PART)
			print_reserver(report, options, &parts[i]);
	free(parts);
}

static void
print_unshared(const struct vmt_text_options *options, const struct vmt_touch_row *row)
{
	char bytes[VMT_UNITS_BYTES];

	if (row->unshared_bytes)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"%*sun-shared after forks, over the run: %s%s%s, written to "
				"first by this",
				(int)INDENT, "", row->unshared_is_estimate ? "~" : "",
				vmt_units_bytes(bytes, row->unshared_bytes),
				row->unshared_is_least ? " or more" : "");
}

static bool
is_tracer(const struct vmt_committer *committer)
{
	return strcmp(committer->evidence, VMT_EVIDENCE_NONE) == 0 &&
	       committer->reserved_by_count == 1 &&
	       strcmp(committer->reserved_by[0].class, VMT_REPORT_TRACER_CLASS) == 0;
}

/* "touch", "reserved" where no sample tells, "none". */
static void
print_row(const struct vmt_report *report, const struct vmt_text_options *options,
	  const struct vmt_touch_rows *rows, size_t number)
{
	const struct vmt_touch_row *row = &rows->rows[number - 1];
	const struct vmt_committer *first = row->first;
	char committed[VMT_UNITS_BYTES];
	char share[VMT_UNITS_RATIO_BYTES];
	char figures[96];
	char few[VMT_TOUCH_ROWS_FEW_BYTES];
	char touch[VMT_TOUCH_ROWS_FEW_BYTES + 8];
	bool sampled = strcmp(first->evidence, VMT_EVIDENCE_SAMPLES) == 0;

	snprintf(figures, sizeof(figures), "%c%10s %6s %3zu", row->estimate ? '~' : ' ',
		 vmt_units_bytes(committed, row->committed_bytes),
		 vmt_units_ratio(share, row->committed_bytes, report->snapshot.rss_bytes), number);
	snprintf(touch, sizeof(touch), "touch%s",
		 vmt_touch_rows_few(row->samples, row->estimate, few));
	if (is_tracer(first))
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "%s  not the program's: %s",
				figures, first->reserved_by[0].class);
	else if (first->stack.count)
		vmt_text_sections_named(options, figures,
					sampled ? touch : "no sample: reserved by", &first->stack);
	else
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "%s  %s%s: %s", figures,
				sampled ? touch : "no sample, no call",
				sampled ? " without a stack" : "",
				first->reserved_by_count ? first->reserved_by[0].class : "");
	print_unshared(options, row);
	if (sampled)
		print_reservers(report, options, rows, number - 1);
}

/* What is not shown, and the sum of all. */
static void
print_rest(const struct vmt_report *report, const struct vmt_text_options *options,
	   const struct vmt_touch_rows *rows, size_t shown)
{
	size_t filled = vmt_touch_rows_filled(rows);
	char committed[VMT_UNITS_BYTES];
	uint64_t rest = 0;
	uint64_t all = 0;

	for (size_t i = 0; i < rows->count; i++) {
		all += rows->rows[i].committed_bytes;
		rest += i >= shown ? rows->rows[i].committed_bytes : 0;
	}
	if (shown < filled)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %10s             %zu more rows",
				vmt_units_bytes(committed, rest), filled - shown);
	vmt_layout_line(&options->layout, VMT_STYLE_TITLE, " %10s             %s",
			vmt_units_bytes(committed, all),
			all == report->snapshot.rss_bytes ? "total = RSS" : "total");
}

/* As many of the table's rows as have room beside the others' sum and a name. */
static size_t
columns_of(const struct vmt_text_options *options, const struct vmt_touch_rows *rows)
{
	size_t most = options->layout.columns < WIDE_COLUMNS ? MATRIX_COLUMNS / 2 : MATRIX_COLUMNS;

	return rows->count < most ? rows->count : most;
}

/* A row of the matrix: what each of the first columns has of a place, and the others together. */
static void
print_matrix_row(const struct vmt_text_options *options, const struct vmt_touch_rows *rows,
		 const char *name, const struct vmt_touch_share *shares, size_t count)
{
	size_t columns = columns_of(options, rows);
	uint64_t others = 0;
	char bytes[VMT_UNITS_BYTES];
	char line[VMT_LAYOUT_LINE_BYTES];
	int used = 0;

	for (size_t column = 0; column < columns; column++) {
		uint64_t part = 0;

		for (size_t i = 0; i < count; i++)
			if (shares[i].row == column)
				part = shares[i].bytes;
		used += snprintf(line + used, sizeof(line) - (size_t)used, " %10s",
				 part ? vmt_units_bytes(bytes, part) : "-");
	}
	for (size_t i = 0; i < count; i++)
		others += shares[i].row >= columns ? shares[i].bytes : 0;
	used += snprintf(line + used, sizeof(line) - (size_t)used, " %10s  ",
			 others ? vmt_units_bytes(bytes, others) : "-");
	snprintf(line + used, sizeof(line) - (size_t)used, "%s", name);
	vmt_layout_row(&options->layout, VMT_STYLE_PLAIN, line, (size_t)used);
}

static void
print_matrix_head(const struct vmt_text_options *options, const struct vmt_touch_rows *rows)
{
	size_t columns = columns_of(options, rows);
	char line[VMT_LAYOUT_LINE_BYTES];
	int used = 0;

	for (size_t i = 0; i < columns; i++)
		used += snprintf(line + used, sizeof(line) - (size_t)used, " %10zu", i + 1);
	snprintf(line + used, sizeof(line) - (size_t)used, " %10s  reserved by", "others");
	vmt_text_sections_title(options, "Reserved by (rows), committed by (columns, as above)");
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, "%s", line);
}

/* The sites that have most, then the classes of which no call is known. */
static void
print_matrix(const struct vmt_report *report, const struct vmt_text_options *options,
	     const struct vmt_touch_rows *rows, struct vmt_touch_share *shares)
{
	struct vmt_report merged = *report;
	const struct vmt_site **sites;
	char name[1024];

	merged.sites = vmt_group_rows_merge(report, options->callers, &merged.site_count);
	sites = merged.sites ? vmt_rank_sites(&merged, VMT_RANK_COMMITTED) : NULL;
	if (report->snapshot.rss_bytes >= WORTH_NAMING_BYTES)
		print_matrix_head(options, rows);
	for (size_t i = 0; sites && i < merged.site_count && i < MATRIX_ROWS; i++) {
		if (sites[i]->committed_bytes < WORTH_NAMING_BYTES)
			break;
		snprintf(name, sizeof(name), "%s", sites[i]->kind);
		if (sites[i]->stack.count)
			vmt_touch_names_reserver(report, sites[i], options->callers, name,
						 sizeof(name));
		print_matrix_row(
		    options, rows, name, shares,
		    vmt_touch_rows_of_site(rows, report, sites[i], options->callers, shares));
	}
	for (size_t i = 0; i < report->class_count; i++) {
		size_t count =
		    vmt_touch_rows_of_class(rows, report, report->classes[i].name, shares);
		uint64_t bytes = 0;

		for (size_t j = 0; j < count; j++)
			bytes += shares[j].bytes;
		if (bytes >= WORTH_NAMING_BYTES)
			print_matrix_row(options, rows, report->classes[i].name, shares, count);
	}
	free(sites);
	free(merged.sites);
}

static void
print_table(const struct vmt_report *report, const struct vmt_text_options *options,
	    const struct vmt_touch_rows *rows)
{
	size_t filled = vmt_touch_rows_filled(rows);
	size_t shown = filled < options->top ? filled : options->top;
	bool estimates = false;

	vmt_text_sections_title(options, "Committed by: whose touches made pages resident");
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %10s %6s %3s  code", "committed",
			"of RSS", "");
	for (size_t i = 0; i < shown; i++) {
		print_row(report, options, rows, i + 1);
		estimates |= rows->rows[i].estimate;
	}
	print_rest(report, options, rows, shown);
	if (estimates)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"~ = about: estimated from sampled page faults");
}

void
vmt_text_touch(const struct vmt_report *report, const struct vmt_text_options *options)
{
	struct vmt_touch_rows rows = {0};
	struct vmt_touch_share *shares;

	if (report->committer_count == 0)
		return;
	shares = calloc(report->committer_count + 1, sizeof(*shares));
	if (shares && vmt_touch_rows_make(&rows, report, options->callers)) {
		print_table(report, options, &rows);
		if (rows.count > 1)
			print_matrix(report, options, &rows, shares);
	}
	vmt_touch_rows_free(&rows);
	free(shares);
}

void
vmt_text_touch_basis(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];
	char samples[VMT_UNITS_BYTES];
	char least[VMT_UNITS_BYTES];
	char most[VMT_UNITS_BYTES];

	if (report->touch.samples == 0)
		return;
	if (report->touch.most_period == 1)
		snprintf(text, sizeof(text), "- Page faults sampled with period 1; samples: %s.",
			 vmt_units_count(samples, report->touch.samples));
	else
		snprintf(text, sizeof(text),
			 "- Page faults sampled: one in %s%s%s of each thread, %s in all.",
			 vmt_units_count(least, report->touch.least_period),
			 report->touch.least_period < report->touch.most_period ? " to " : "",
			 report->touch.least_period < report->touch.most_period
			     ? vmt_units_count(most, report->touch.most_period)
			     : "",
			 vmt_units_count(samples, report->touch.samples));
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
	if (report->touch.is_raised)
		vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN,
				"- Fewer page faults were sampled than asked for, to limit the "
				"collector's CPU time.",
				2);
}
