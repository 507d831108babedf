#include "tools/render/diff_text.h"

#include "format/chunk.h"
#include "tools/render/diff_caveats.h"
#include "tools/render/diff_change.h"
#include "tools/render/diff_group_rows.h"
#include "tools/render/diff_headline.h"
#include "tools/render/diff_headline_go.h"
#include "tools/render/frame_text.h"
#include "tools/render/headline.h"
#include "tools/render/rank.h"
#include "tools/render/sentence.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* Narrower than these, a row drops the columns of reserved, then its ratios, then A. */
#define WIDE_COLUMNS 98u
#define MIDDLE_COLUMNS 76u
#define NARROW_COLUMNS 56u
#define NAME_LEAST_COLUMNS 36u
#define FIGURES_BYTES 192u

static void
title(const struct vmt_diff_text_options *options, const char *text)
{
	vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "%s", "");
	vmt_layout_line(&options->layout, VMT_STYLE_TITLE, "%s", text);
}

/* The figures of a row: the same columns for classes, sites and their sum. */
struct row {
	const struct vmt_diff_figure *reserved;
	const struct vmt_diff_figure *committed;
	bool estimate;
	uint64_t error_bytes;
};

/* ' ' exact, '~' beyond, '?' within the sampling error. */
static char
mark(const struct row *row)
{
	if (!row->estimate)
		return ' ';
	return vmt_diff_distance(row->committed) > row->error_bytes ? '~' : '?';
}

static const char *
write_figures(const struct vmt_diff_text_options *options, const struct row *row,
	      char text[FIGURES_BYTES])
{
	char change[VMT_DIFF_CHANGE_BYTES];
	char committed[2][VMT_UNITS_BYTES];
	char reserved[2][VMT_UNITS_BYTES];
	char ratios[2][VMT_UNITS_RATIO_BYTES];
	size_t used;

	used = (size_t)snprintf(text, FIGURES_BYTES, "%c%11s", mark(row),
				vmt_diff_change_write(change, row->committed));
	if (options->layout.columns >= NARROW_COLUMNS)
		used += (size_t)snprintf(text + used, FIGURES_BYTES - used, " %9s",
					 vmt_units_bytes(committed[0], row->committed->a));
	used += (size_t)snprintf(text + used, FIGURES_BYTES - used, " %9s",
				 vmt_units_bytes(committed[1], row->committed->b));
	if (options->layout.columns >= WIDE_COLUMNS)
		used += (size_t)snprintf(text + used, FIGURES_BYTES - used, " %9s %9s",
					 vmt_units_bytes(reserved[0], row->reserved->a),
					 vmt_units_bytes(reserved[1], row->reserved->b));
	if (options->layout.columns >= MIDDLE_COLUMNS)
		snprintf(text + used, FIGURES_BYTES - used, " %5s %5s",
			 vmt_units_ratio(ratios[0], row->committed->a, row->reserved->a),
			 vmt_units_ratio(ratios[1], row->committed->b, row->reserved->b));
	return text;
}

static void
print_heading(const struct vmt_diff_text_options *options, const char *what)
{
	const struct vmt_layout *layout = &options->layout;
	const char *ratios = layout->columns >= MIDDLE_COLUMNS ? "     A     B" : "";

	if (layout->columns < NARROW_COLUMNS) {
		vmt_layout_line(layout, VMT_STYLE_DIM, " %11s %9s  %s", "change", "B", what);
		return;
	}
	vmt_layout_line(layout, VMT_STYLE_DIM, " %11s %19s%s%s", "", "committed in A, B",
			layout->columns >= WIDE_COLUMNS ? "    reserved in A, B" : "",
			*ratios ? "       ratio" : "");
	vmt_layout_line(layout, VMT_STYLE_DIM, " %11s %9s %9s%s%s  %s", "change", "A", "B",
			layout->columns >= WIDE_COLUMNS ? "         A         B" : "", ratios,
			what);
}

static void
print_side(const struct vmt_diff_text_options *options, const char *name,
	   const struct vmt_report *report, const char *path, bool is_now)
{
	char command[512];
	char title[512];
	char when[VMT_UNITS_BYTES];
	char rss[VMT_UNITS_BYTES];
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence side = {text, sizeof(text), 0};
	int64_t time_ns = report->snapshot.time_ns;

	vmt_layout_shorten(&options->layout, command, sizeof(command), vmt_report_command(report),
			   120);
	vmt_sentence_say(&side, "%s: %s, %s (process %" PRIu32 "%s), ", name, path, command,
			 report->process.pid,
			 vmt_text_titled(&options->layout, report, title, sizeof(title)));
	if (report->snapshot.taken)
		vmt_sentence_say(&side, "RSS %s at %s%s",
				 vmt_units_bytes(rss, report->snapshot.rss_bytes),
				 vmt_units_duration(when, time_ns > 0 ? (uint64_t)time_ns : 0),
				 is_now ? " (now)" : "");
	else
		vmt_sentence_say(&side, "no snapshot");
	vmt_layout_wrap(&options->layout, VMT_STYLE_DIM, text, 3);
	vmt_headline_losses(report, text, sizeof(text));
	if (text[0])
		vmt_layout_wrap(&options->layout, VMT_STYLE_ALARM, text, 3);
}

void
vmt_diff_text_go(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES] = "";
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	vmt_diff_headline_go_say(&sentence, diff);
	if (text[0])
		vmt_layout_wrap(&options->layout, VMT_STYLE_TITLE, text, 2);
}

static void
print_top(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];

	vmt_diff_headline_write(diff, text, sizeof(text));
	vmt_layout_wrap(&options->layout, VMT_STYLE_TITLE, text, 0);
	vmt_diff_text_go(diff, options);
	for (unsigned i = 0;; i++) {
		vmt_diff_caveats_write(diff, i, text, sizeof(text));
		if (!text[0])
			break;
		vmt_layout_wrap(&options->layout, VMT_STYLE_ALARM, text, 2);
	}
	print_side(options, "A", diff->a, options->paths[0], diff->is_now.a);
	print_side(options, "B", diff->b, options->paths[1], diff->is_now.b);
}

static void
print_classes(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	const struct row all = {.reserved = &diff->totals.reserved_bytes,
				.committed = &diff->totals.committed_bytes};
	char figures[FIGURES_BYTES];

	if (diff->class_count == 0)
		return;
	title(options, "The whole address space");
	print_heading(options, "class");
	for (size_t i = 0; i < diff->class_count; i++) {
		const struct vmt_diff_class *class = &diff->classes[i];
		const struct row row = {&class->reserved_bytes, &class->committed_bytes,
					class->estimate, class->error_bytes};

		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "%s  %s",
				write_figures(options, &row, figures), class->name);
	}
	vmt_layout_line(&options->layout, VMT_STYLE_TITLE, "%s  total, without vmtrace",
			write_figures(options, &all, figures));
}

/* Whether the two differ by more than two runs of one program may. */
static bool
is_news(const struct vmt_diff *diff, const struct vmt_diff_figure *figure)
{
	return figure->a != VMT_FIGURE_UNKNOWN && figure->b != VMT_FIGURE_UNKNOWN &&
	       vmt_diff_distance(figure) > diff->verdict.committed_noise_bytes;
}

struct beside {
	struct vmt_diff_figure figure;
	const char *what;
};

/* Those that differ, below a title of their own. */
static void
print_beside(const struct vmt_diff *diff, const struct vmt_diff_text_options *options,
	     const char *heading, const struct beside *rows, size_t count)
{
	bool first = true;

	for (size_t i = 0; i < count; i++) {
		char change[VMT_DIFF_CHANGE_BYTES];
		char figures[2][VMT_UNITS_BYTES];
		char text[256];

		if (!is_news(diff, &rows[i].figure))
			continue;
		if (first)
			title(options, heading);
		first = false;
		snprintf(text, sizeof(text), " %11s %9s %9s  %s",
			 vmt_diff_change_write(change, &rows[i].figure),
			 vmt_units_bytes(figures[0], rows[i].figure.a),
			 vmt_units_bytes(figures[1], rows[i].figure.b), rows[i].what);
		vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 4);
	}
}

void
vmt_diff_text_kernel(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	const struct vmt_kernel_figures *a = &diff->a->snapshot.kernel;
	const struct vmt_kernel_figures *b = &diff->b->snapshot.kernel;
	const struct beside rows[] = {
	    {{a->anonymous_bytes, b->anonymous_bytes}, "anonymous memory (RssAnon)"},
	    {{a->file_bytes, b->file_bytes}, "pages of files (RssFile)"},
	    {{a->shared_memory_bytes, b->shared_memory_bytes}, "shared memory (RssShmem)"},
	    {diff->totals.shared_bytes,
	     "of RSS mapped more than once, by this or other processes (shared)"},
	    {{a->page_table_bytes, b->page_table_bytes}, "page tables, not in RSS (VmPTE)"},
	    {{a->locked_bytes, b->locked_bytes}, "address space locked in RAM (VmLck)"},
	    {{a->hugetlb_bytes, b->hugetlb_bytes}, "hugetlb pages, not in RSS (HugetlbPages)"},
	};

	print_beside(diff, options, "What the kernel counts: change, A, B", rows,
		     sizeof(rows) / sizeof(*rows));
}

void
vmt_diff_text_untouched(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	const struct beside rows[] = {
	    {diff->totals.never_touched_bytes, "private memory that was never touched"},
	    {diff->totals.taken_bytes, "given back by advice, over the whole run"},
	    {diff->totals.stayed_bytes, "of that, still in its file or segment"},
	};

	print_beside(diff, options, "Not in RAM: change, A, B", rows, sizeof(rows) / sizeof(*rows));
}

static const char *
match_note(enum vmt_diff_match match)
{
	return match == VMT_DIFF_NEW ? "new " : match == VMT_DIFF_GONE ? "gone " : "";
}

/* What stands above and below is true of the largest part alone. */
static void
say_joined(const struct vmt_diff_site *site, const struct vmt_layout *layout, size_t indent)
{
	char share[VMT_UNITS_RATIO_BYTES];
	char line[VMT_LAYOUT_LINE_BYTES];

	if (vmt_diff_group_rows_has_most(site))
		return;
	snprintf(line, sizeof(line), "%*s(several call sites; this one has %s of it)", (int)indent,
		 "", vmt_units_ratio(share, site->shown_bytes, site->side_bytes));
	vmt_layout_row(layout, VMT_STYLE_DIM, line, indent);
}

static void
print_site(const struct vmt_diff_site *site, const struct vmt_diff_text_options *options)
{
	const struct vmt_layout *layout = &options->layout;
	const struct vmt_stack_frames *stack = &site->shown->stack;
	const struct row row = {&site->reserved_bytes, &site->committed_bytes, site->estimate,
				site->error_bytes};
	const char *note = match_note(site->match);
	size_t owner = vmt_rank_owner(stack);
	char text[FIGURES_BYTES];
	char line[VMT_LAYOUT_LINE_BYTES];
	char name[1600] = "(no stack)";
	const char *figures = write_figures(options, &row, text);
	size_t indent = strlen(figures) + 2;
	size_t words = strlen(note) + strlen(site->kind) + 1;
	size_t room;

	if (!layout->whole && indent + words + NAME_LEAST_COLUMNS > layout->columns) {
		vmt_layout_line(layout, VMT_STYLE_PLAIN, "%s", figures);
		figures = "  ";
		indent = 4;
	}
	room = layout->columns > indent + words ? layout->columns - indent - words : 1;
	if (stack->count)
		vmt_frame_text_fit(layout, &stack->frames[owner], name, sizeof(name), room);
	snprintf(line, sizeof(line), "%s  %s%s %s", figures, note, site->kind, name);
	vmt_layout_row(layout, VMT_STYLE_PLAIN, line, indent);
	say_joined(site, layout, indent);
	vmt_text_sections_callers(layout, stack, options->callers, indent);
}

static bool
is_changed(const struct vmt_diff_site *site)
{
	return vmt_diff_distance(&site->committed_bytes) ||
	       vmt_diff_distance(&site->reserved_bytes);
}

/* What is not shown, and that it is. */
static void
print_selection(const struct vmt_diff_text_options *options)
{
	char text[256];

	if (options->selection && vmt_selection_is_partial(options->selection->patterns))
		vmt_layout_wrap(&options->layout, VMT_STYLE_TITLE,
				vmt_diff_selection_write(options->selection, text, sizeof(text)),
				2);
}

static void
print_rows(const struct vmt_diff_rows *rows, const struct vmt_diff_text_options *options)
{
	size_t changed = 0;
	size_t shown;
	bool estimates = false;
	char text[128];

	/* Rows are in the order of their differences: those without one are the last. */
	while (changed < rows->count && is_changed(&rows->sites[changed]))
		changed++;
	if (rows->count == 0 && !options->selection)
		return;
	shown = changed < options->top ? changed : options->top;
	snprintf(text, sizeof(text), "Call sites by change of committed, %zu of %zu, %zu unchanged",
		 shown, changed, rows->count - changed);
	title(options, text);
	print_selection(options);
	if (shown)
		print_heading(options, "call");
	for (size_t i = 0; i < shown; i++) {
		print_site(&rows->sites[i], options);
		estimates |= rows->sites[i].estimate;
	}
	if (estimates)
		vmt_layout_wrap(&options->layout, VMT_STYLE_DIM,
				"~ = estimated from samples, may exceed what is mapped (classes "
				"can't); ? = the change is within the sampling error",
				4);
}

/* What would print the same row is one row. */
static void
print_sites(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	struct vmt_diff_rows rows = {.count = 0};

	if (vmt_diff_group_rows_merge(&rows, diff, options->callers))
		print_rows(&rows, options);
	else
		print_rows(&(struct vmt_diff_rows){diff->sites, diff->site_count, diff->members},
			   options);
	vmt_diff_group_rows_free(&rows);
}

void
vmt_diff_text_print(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	const struct vmt_diff *shown = options->selection ? &options->selection->shown : diff;

	assert(options->layout.columns >= 20);
	print_top(diff, options);
	/* Without two snapshots nothing is known of a change: no zero stands for that. */
	if (diff->verdict.kind != VMT_DIFF_UNKNOWN) {
		print_classes(diff, options);
		vmt_diff_text_kernel(diff, options);
		vmt_diff_text_untouched(diff, options);
		print_sites(shown, options);
		vmt_diff_text_touch(shown, options);
		vmt_diff_text_live(diff, options);
		vmt_diff_text_large(diff, options);
		vmt_diff_text_blocks(shown, options);
	}
}
