#include "tools/model/diff/diff_build.h"

#include "tools/model/diff/diff_live.h"
#include "tools/model/diff/diff_match.h"
#include "tools/model/diff/diff_touch.h"
#include "tools/model/diff/diff_verdict.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
is_sampled(const struct vmt_report *report)
{
	return report->coverage.malloc_mode &&
	       (strcmp(report->coverage.malloc_mode, "sampled") == 0 ||
		report->coverage.thinned_bytes > 0);
}

static struct vmt_diff_class *
class_named(struct vmt_diff *diff, const char *name)
{
	for (size_t i = 0; i < diff->class_count; i++)
		if (strcmp(diff->classes[i].name, name) == 0)
			return &diff->classes[i];
	diff->classes[diff->class_count] = (struct vmt_diff_class){.name = name};
	return &diff->classes[diff->class_count++];
}

static bool
is_part_of_go_heap(const char *name)
{
	for (int id = VMT_CLASS_GO_HEAP; id <= VMT_CLASS_GO_RELEASED; id++)
		if (strcmp(name, vmt_classes_name((enum vmt_class_id)id)) == 0)
			return true;
	return false;
}

/* Which of its classes has a page of a process is told by a call in the one and by its kind in the
 * other. A Go heap that is told apart in only one of them is compared as a whole. */
static const char *
compared_name(const struct vmt_diff *diff, const char *name)
{
	static const char *const joined[] = {
	    "mmap",	"malloc live",	     "malloc retained",	      "malloc, live or free",
	    "heap",	"anonymous memory",  "Go metadata",	      "unattributed",
	    "Go other", "inherited at fork", "ended threads' stacks",
	};

	if (!diff->a->go.uncut != !diff->b->go.uncut && is_part_of_go_heap(name))
		return vmt_classes_name(VMT_CLASS_GO_HEAP);
	for (size_t i = 0; diff->is_by_kind && i < sizeof(joined) / sizeof(*joined); i++)
		if (strcmp(name, joined[i]) == 0)
			return VMT_DIFF_PRIVATE_CLASS;
	return name;
}

static uint64_t
sum_of_known(uint64_t a, uint64_t b)
{
	return a == VMT_FIGURE_UNKNOWN || b == VMT_FIGURE_UNKNOWN ? VMT_FIGURE_UNKNOWN : a + b;
}

static void
add_classes(struct vmt_diff *diff, const struct vmt_report *report, bool of_b)
{
	for (size_t i = 0; i < report->class_count; i++) {
		const struct vmt_class *from = &report->classes[i];
		uint64_t *shared;
		struct vmt_diff_class *row = class_named(diff, compared_name(diff, from->name));

		*(of_b ? &row->reserved_bytes.b : &row->reserved_bytes.a) += from->reserved_bytes;
		*(of_b ? &row->accessible_bytes.b : &row->accessible_bytes.a) +=
		    from->accessible_bytes;
		*(of_b ? &row->committed_bytes.b : &row->committed_bytes.a) +=
		    from->committed_bytes;
		*(of_b ? &row->swapped_bytes.b : &row->swapped_bytes.a) += from->swapped_bytes;
		*(of_b ? &row->never_touched_bytes.b : &row->never_touched_bytes.a) +=
		    from->never_touched_bytes;
		*(of_b ? &row->hugetlb_bytes.b : &row->hugetlb_bytes.a) += from->hugetlb_bytes;
		shared = of_b ? &row->shared_bytes.b : &row->shared_bytes.a;
		*shared = sum_of_known(*shared, from->shared_bytes);
	}
}

static uint64_t
live_committed(const struct vmt_report *report)
{
	for (size_t i = 0; i < report->class_count; i++)
		if (strcmp(report->classes[i].name, "malloc live") == 0)
			return report->classes[i].committed_bytes;
	return 0;
}

/* What of the heap is live is an estimate where blocks are sampled, and so is the rest of it. */
static void
set_class_errors(struct vmt_diff *diff)
{
	double a = is_sampled(diff->a) ? (double)live_committed(diff->a) : 0;
	double b = is_sampled(diff->b) ? (double)live_committed(diff->b) : 0;

	for (size_t i = 0; i < diff->class_count; i++) {
		struct vmt_diff_class *row = &diff->classes[i];

		if (strcmp(row->name, "malloc live") != 0 &&
		    strcmp(row->name, "malloc retained") != 0 &&
		    strcmp(row->name, "inherited at fork") != 0)
			continue;
		row->estimate = is_sampled(diff->a) || is_sampled(diff->b);
		row->error_bytes = vmt_diff_error(diff, a, b);
	}
}

static int
build_classes(struct vmt_diff *diff)
{
	size_t most = diff->a->class_count + diff->b->class_count;

	if (most == 0)
		return 0;
	diff->classes = calloc(most, sizeof(*diff->classes));
	if (!diff->classes)
		return -ENOMEM;
	add_classes(diff, diff->a, false);
	add_classes(diff, diff->b, true);
	assert(diff->class_count <= most);
	set_class_errors(diff);
	return 0;
}

static void
add_advice(struct vmt_diff *diff, const struct vmt_report *report, bool of_b)
{
	for (size_t i = 0; i < report->advice_count; i++) {
		const struct vmt_advice *row = &report->advice[i];

		*(of_b ? &diff->totals.taken_bytes.b : &diff->totals.taken_bytes.a) +=
		    row->taken_bytes;
		*(of_b ? &diff->totals.stayed_bytes.b : &diff->totals.stayed_bytes.a) +=
		    row->stayed_bytes;
	}
}

static void
set_totals(struct vmt_diff *diff)
{
	const struct vmt_report *a = diff->a;
	const struct vmt_report *b = diff->b;

	for (size_t i = 0; i < diff->class_count; i++) {
		const struct vmt_diff_class *row = &diff->classes[i];

		if (strcmp(row->name, VMT_DIFF_TRACER_CLASS) == 0)
			continue;
		diff->totals.reserved_bytes.a += row->reserved_bytes.a;
		diff->totals.reserved_bytes.b += row->reserved_bytes.b;
		diff->totals.committed_bytes.a += row->committed_bytes.a;
		diff->totals.committed_bytes.b += row->committed_bytes.b;
		diff->totals.never_touched_bytes.a += row->never_touched_bytes.a;
		diff->totals.never_touched_bytes.b += row->never_touched_bytes.b;
	}
#define FIGURE(name) ((struct vmt_diff_figure){a->snapshot.name, b->snapshot.name})
	diff->totals.rss_bytes = FIGURE(rss_bytes);
	diff->totals.virtual_bytes = FIGURE(virtual_bytes);
	diff->totals.swap_bytes = FIGURE(swap_bytes);
	diff->totals.huge_bytes = FIGURE(huge_bytes);
	diff->totals.shared_bytes = FIGURE(shared_bytes);
#undef FIGURE
	add_advice(diff, a, false);
	add_advice(diff, b, true);
	diff->totals.skew_bytes = a->snapshot.skew_bytes + b->snapshot.skew_bytes;
}

/* Snapshots cost, and are rare; RSS alone is read often. */
static uint64_t
missed(const struct vmt_report *report)
{
	return report->snapshot.taken ? vmt_report_peak_bytes(report) - report->snapshot.rss_bytes
				      : 0;
}

static void
sort_rows(struct vmt_diff *diff)
{
	vmt_diff_sort_classes(diff->classes, diff->class_count);
	vmt_diff_sort_sites(diff->sites, diff->site_count);
}

int
vmt_diff_build(struct vmt_diff **result, const struct vmt_report *a, const struct vmt_report *b,
	       enum vmt_report_at at, struct vmt_err *err)
{
	struct vmt_diff *diff = calloc(1, sizeof(*diff));

	*result = NULL;
	if (!diff)
		return vmt_err_set(err, ENOMEM, "out of memory");
	diff->a = a;
	diff->b = b;
	diff->is_by_kind = a->process.is_snapshot != b->process.is_snapshot;
	if (build_classes(diff) < 0 ||
	    (!diff->is_by_kind &&
	     (vmt_diff_match_sites(diff) < 0 || vmt_diff_touch_build(diff) < 0)) ||
	    vmt_diff_live_build(diff) < 0) {
		vmt_diff_free(diff);
		return vmt_err_set(err, ENOMEM, "out of memory");
	}
	set_totals(diff);
	diff->is_now.a = at == VMT_AT_COMPARED && vmt_report_is_live(a);
	diff->is_now.b = at == VMT_AT_COMPARED && vmt_report_is_live(b);
	if (at == VMT_AT_PEAK || at == VMT_AT_PLATEAU || at == VMT_AT_COMPARED)
		diff->totals.missed_bytes = (struct vmt_diff_figure){
		    diff->is_now.a ? 0 : missed(a), diff->is_now.b ? 0 : missed(b)};
	sort_rows(diff);
	vmt_diff_verdict_judge(
	    diff, &(struct vmt_diff_rows){.sites = diff->sites, .count = diff->site_count});
	*result = diff;
	return 0;
}
