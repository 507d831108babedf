#include "format/chunk.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <stdlib.h>
#include <string.h>

static int
compare_advice(const void *left, const void *right)
{
	const struct vmt_advice *a = *(const struct vmt_advice *const *)left;
	const struct vmt_advice *b = *(const struct vmt_advice *const *)right;

	if (a->committed_before_bytes != b->committed_before_bytes)
		return a->committed_before_bytes < b->committed_before_bytes ? 1 : -1;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return (a > b) - (a < b);
}

/* What became of the pages, where the advice does not say that itself. */
static void
print_now(const struct vmt_advice *advice, const struct vmt_text_options *options)
{
	char committed[VMT_UNITS_BYTES];
	char huge[VMT_UNITS_BYTES];
	char mapped[VMT_UNITS_BYTES];
	bool is_free = strcmp(advice->advice, "MADV_FREE") == 0;
	bool is_huge = strstr(advice->advice, "HUGEPAGE") || strstr(advice->advice, "COLLAPSE");

	if (!advice->mapped_now_bytes || (!is_free && !is_huge))
		return;
	vmt_units_bytes(committed, advice->committed_now_bytes);
	vmt_units_bytes(huge, advice->huge_now_bytes);
	vmt_units_bytes(mapped, advice->mapped_now_bytes);
	if (is_free)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"%34s%s of its %s is resident now: LazyFree or used again", "",
				committed, mapped);
	else
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"%34s%s of its %s is resident now, %s in huge pages", "", committed,
				mapped, huge);
}

/* What came back, where that is not what was committed; and where the rest is. */
static void
print_taken(const struct vmt_advice *advice, const struct vmt_text_options *options)
{
	char taken[VMT_UNITS_BYTES];
	char stayed[VMT_UNITS_BYTES];
	char of_files[VMT_UNITS_BYTES];

	if (strcmp(advice->advice, "MADV_FREE") == 0)
		return;
	if (strncmp(advice->advice, "MADV_", 5) != 0 && advice->taken_bytes)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"%34sfreed in the file, for all processes that map it", "");
	if (advice->taken_bytes != advice->committed_before_bytes)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "%34s%s of it left the process",
				"", vmt_units_bytes(taken, advice->taken_bytes));
	if (advice->stayed_bytes)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"%34s%s was shared: it stays in its file or segment", "",
				vmt_units_bytes(stayed, advice->stayed_bytes));
	if (advice->private_file_bytes)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"%34s%s was of files: unwritten pages stay in the page cache", "",
				vmt_units_bytes(of_files, advice->private_file_bytes));
}

static void
print_row(const struct vmt_advice *advice, const struct vmt_text_options *options)
{
	char committed[VMT_UNITS_BYTES];
	char bytes[VMT_UNITS_BYTES];
	char calls[VMT_UNITS_BYTES];
	char figures[96];
	char kind[128];

	snprintf(figures, sizeof(figures), "%c%10s %10s %9s",
		 advice->committed_before_is_estimate ? '~' : ' ',
		 vmt_units_bytes(committed, advice->committed_before_bytes),
		 vmt_units_bytes(bytes, advice->bytes), vmt_units_count(calls, advice->calls));
	snprintf(kind, sizeof(kind), "%s%s%s%s", advice->advice, advice->cause ? " (" : "",
		 advice->cause ? advice->cause : "", advice->cause ? ")" : "");
	vmt_text_sections_named(options, figures, kind, &advice->stack);
	if (advice->failed_calls)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "%34srefused by the kernel: %s",
				"", vmt_units_count(calls, advice->failed_calls));
	print_taken(advice, options);
	print_now(advice, options);
}

static bool
is_alike(const struct vmt_advice *a, const struct vmt_advice *b)
{
	return a->cause && b->cause && strcmp(a->cause, b->cause) == 0 &&
	       strcmp(a->advice, b->advice) == 0;
}

/* All advice of one sort for one cause, as a line; the first of them prints it. */
static void
print_cause(const struct vmt_report *report, size_t first, const struct vmt_text_options *options)
{
	const struct vmt_advice *advice = &report->advice[first];
	struct vmt_advice sum = {.calls = 0};
	char committed[VMT_UNITS_BYTES];
	char bytes[VMT_UNITS_BYTES];
	char calls[VMT_UNITS_BYTES];

	for (size_t i = 0; i < report->advice_count; i++) {
		if (!is_alike(advice, &report->advice[i]))
			continue;
		if (i < first)
			return;
		sum.calls += report->advice[i].calls;
		sum.bytes += report->advice[i].bytes;
		sum.committed_before_bytes += report->advice[i].committed_before_bytes;
		sum.committed_before_is_estimate |= report->advice[i].committed_before_is_estimate;
	}
	if (sum.calls)
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "%c%10s %10s %9s  %s: %s",
				sum.committed_before_is_estimate ? '~' : ' ',
				vmt_units_bytes(committed, sum.committed_before_bytes),
				vmt_units_bytes(bytes, sum.bytes),
				vmt_units_count(calls, sum.calls), advice->cause, advice->advice);
}

static bool
has_lazyfree(const struct vmt_report *report)
{
	return report->snapshot.lazyfree_bytes != 0 &&
	       report->snapshot.lazyfree_bytes != VMT_FIGURE_UNKNOWN;
}

void
vmt_text_lazily_freed(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];
	char bytes[VMT_UNITS_BYTES];

	if (!has_lazyfree(report))
		return;
	snprintf(text, sizeof(text),
		 "  LazyFree: %s of RSS was given back by MADV_FREE; it stays in RSS until the "
		 "kernel needs it.",
		 vmt_units_bytes(bytes, report->snapshot.lazyfree_bytes));
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
}

static bool
has_estimates(const struct vmt_report *report)
{
	for (size_t i = 0; i < report->advice_count; i++)
		if (report->advice[i].committed_before_is_estimate)
			return true;
	return false;
}

void
vmt_text_advice(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_advice **rows;

	if (report->advice_count == 0) {
		if (has_lazyfree(report) && !options->selection) {
			vmt_text_sections_title(options, "Given back, and not yet taken");
			vmt_text_lazily_freed(report, options);
		}
		return;
	}
	rows = calloc(report->advice_count, sizeof(*rows));
	if (!rows)
		return;
	vmt_text_sections_title(
	    options, "Advice, over the whole run: what was committed there before the call");
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %10s %10s %9s  advice", "committed",
			"bytes", "calls");
	for (size_t i = 0; i < report->advice_count; i++)
		print_cause(report, i, options);
	for (size_t i = 0; i < report->advice_count; i++)
		rows[i] = &report->advice[i];
	qsort(rows, report->advice_count, sizeof(*rows), compare_advice);
	for (size_t i = 0; i < report->advice_count && i < options->top; i++)
		print_row(rows[i], options);
	if (has_estimates(report))
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"~ = partly estimated: not all pages were checked");
	vmt_text_lazily_freed(report, options);
	free(rows);
}
