#include "tools/model/diff/diff.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t
vmt_diff_delta(const struct vmt_diff_figure *figure)
{
	return (int64_t)(figure->b - figure->a);
}

uint64_t
vmt_diff_distance(const struct vmt_diff_figure *figure)
{
	return figure->b > figure->a ? figure->b - figure->a : figure->a - figure->b;
}

uint64_t
vmt_diff_add_known(uint64_t sum, uint64_t part)
{
	return sum == VMT_FIGURE_UNKNOWN || part == VMT_FIGURE_UNKNOWN ? VMT_FIGURE_UNKNOWN
								       : sum + part;
}

bool
vmt_diff_is_replaced(const struct vmt_report *report)
{
	return strcmp(report->process.end, "exec") == 0;
}

/* No two processes of one number begin in the same nanosecond. */
bool
vmt_diff_is_one_trace(const struct vmt_diff *diff)
{
	const struct vmt_report *a = diff->a;
	const struct vmt_report *b = diff->b;

	return a->process.start_unix_ns != 0 &&
	       a->process.start_unix_ns == b->process.start_unix_ns &&
	       a->process.pid == b->process.pid;
}

bool
vmt_diff_is_one_snapshot(const struct vmt_diff *diff)
{
	return diff->a->snapshot.taken && diff->b->snapshot.taken &&
	       diff->a->snapshot.index == diff->b->snapshot.index && vmt_diff_is_one_trace(diff);
}

const char *
vmt_diff_match_word(enum vmt_diff_match match)
{
	static const char *const words[] = {
	    [VMT_DIFF_EXACT] = "exact",		[VMT_DIFF_INLINING] = "inlining",
	    [VMT_DIFF_RUNTIME] = "runtime",	[VMT_DIFF_GO] = "go",
	    [VMT_DIFF_INNERMOST] = "innermost", [VMT_DIFF_NEW] = "new",
	    [VMT_DIFF_GONE] = "gone",
	};

	assert(match <= VMT_DIFF_GONE);
	return words[match];
}

const char *
vmt_diff_kind_word(enum vmt_diff_kind kind)
{
	static const char *const words[] = {
	    [VMT_DIFF_UNKNOWN] = "unknown",
	    [VMT_DIFF_SAME] = "same",
	    [VMT_DIFF_MOVED] = "moved",
	    [VMT_DIFF_MORE_TOUCHED] = "more-touched",
	    [VMT_DIFF_LESS_TOUCHED] = "less-touched",
	    [VMT_DIFF_GROWN] = "grown",
	    [VMT_DIFF_SHRUNK] = "shrunk",
	    [VMT_DIFF_MORE_RESERVED] = "more-reserved",
	    [VMT_DIFF_LESS_RESERVED] = "less-reserved",
	};

	assert(kind <= VMT_DIFF_LESS_RESERVED);
	return words[kind];
}

uint64_t
vmt_diff_error(const struct vmt_diff *diff, double estimated_a, double estimated_b)
{
	double variance = (double)vmt_report_variance_bytes(diff->a) * estimated_a +
			  (double)vmt_report_variance_bytes(diff->b) * estimated_b;

	assert(estimated_a >= 0 && estimated_b >= 0);
	return (uint64_t)llround(2 * sqrt(variance));
}

/* Larger differences first. */
static int
compare_distances(const struct vmt_diff_figure *a, const struct vmt_diff_figure *b)
{
	uint64_t of_a = vmt_diff_distance(a);
	uint64_t of_b = vmt_diff_distance(b);

	return of_a > of_b ? -1 : of_a < of_b;
}

static int
compare_rows(const struct vmt_diff_figure *committed_a, const struct vmt_diff_figure *committed_b,
	     const struct vmt_diff_figure *reserved_a, const struct vmt_diff_figure *reserved_b)
{
	int order = compare_distances(committed_a, committed_b);

	if (order == 0)
		order = compare_distances(reserved_a, reserved_b);
	if (order == 0)
		order = committed_a->b > committed_b->b ? -1 : committed_a->b < committed_b->b;
	return order;
}

static int
compare_classes(const void *left, const void *right)
{
	const struct vmt_diff_class *a = left;
	const struct vmt_diff_class *b = right;
	int order = compare_rows(&a->committed_bytes, &b->committed_bytes, &a->reserved_bytes,
				 &b->reserved_bytes);

	return order ? order : strcmp(a->name, b->name);
}

static int
compare_sites(const void *left, const void *right)
{
	const struct vmt_diff_site *a = left;
	const struct vmt_diff_site *b = right;
	int order = compare_rows(&a->committed_bytes, &b->committed_bytes, &a->reserved_bytes,
				 &b->reserved_bytes);

	if (order == 0)
		order = strcmp(a->kind, b->kind);
	if (order == 0 && a->match != b->match)
		order = a->match < b->match ? -1 : 1;
	/* Rows of one report: its own order. */
	return order ? order : a->shown < b->shown ? -1 : a->shown > b->shown;
}

void
vmt_diff_sort_sites(struct vmt_diff_site *sites, size_t count)
{
	if (count)
		qsort(sites, count, sizeof(*sites), compare_sites);
}

void
vmt_diff_sort_classes(struct vmt_diff_class *classes, size_t count)
{
	if (count)
		qsort(classes, count, sizeof(*classes), compare_classes);
}

uint64_t
vmt_diff_weight(const struct vmt_diff_site *row, const struct vmt_site *site, bool of_b)
{
	bool committed = of_b ? row->committed_bytes.b : row->committed_bytes.a;

	return committed ? site->committed_bytes : site->reserved_bytes;
}

void
vmt_diff_free(struct vmt_diff *diff)
{
	if (!diff)
		return;
	vmt_diff_free(diff->touch);
	vmt_diff_free(diff->live);
	vmt_diff_free(diff->large);
	for (int i = 0; diff->touch_reports && i < 2; i++)
		free(diff->touch_reports[i].sites);
	for (int i = 0; diff->live_reports && i < 2; i++)
		free(diff->live_reports[i].sites);
	free(diff->touch_reports);
	for (int i = 0; diff->large_reports && i < 2; i++)
		free(diff->large_reports[i].sites);
	free(diff->live_reports);
	free(diff->large_reports);
	free(diff->classes);
	free(diff->sites);
	free(diff->members);
	free(diff);
}

const char *
vmt_diff_go_cause_word(enum vmt_diff_go_cause cause)
{
	switch (cause) {
	case VMT_DIFF_GO_LIVE:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_LIVE);
	case VMT_DIFF_GO_GARBAGE:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_GARBAGE);
	case VMT_DIFF_GO_OBJECTS:
		return "objects";
	case VMT_DIFF_GO_TOUCHED:
		return "untouched objects";
	case VMT_DIFF_GO_FREE_SLOTS:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_FREE_SLOTS);
	case VMT_DIFF_GO_STACKS:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_STACKS);
	case VMT_DIFF_GO_IDLE:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_IDLE);
	case VMT_DIFF_GO_RELEASED:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_RELEASED);
	case VMT_DIFF_GO_METADATA:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_METADATA);
	case VMT_DIFF_GO_MALLOC:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_MALLOC);
	case VMT_DIFF_GO_OUTSIDE:
		return vmt_go_parts_cause_name(VMT_GO_CAUSE_OUTSIDE);
	case VMT_DIFF_GO_UNKNOWN:
		break;
	}
	return NULL;
}
