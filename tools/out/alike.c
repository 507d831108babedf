#include "tools/out/alike.h"

#include "tools/out/rank.h"

#include <stdlib.h>
#include <string.h>

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_texts(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

/* 0 where both print the same. */
static int
compare_frames(const struct vmt_frame *a, const struct vmt_frame *b)
{
	int order = compare_texts(a->function, b->function);

	if (order == 0)
		order = compare_texts(a->module, b->module);
	if (order == 0)
		order = compare_texts(a->file, b->file);
	if (order == 0)
		order = compare_numbers(a->line, b->line);
	if (order == 0 && !a->function)
		order = a->module ? compare_numbers(a->module_offset, b->module_offset)
				  : compare_numbers(a->address, b->address);
	return order;
}

struct shown {
	size_t first;
	size_t end;
};

static struct shown
shown_frames(const struct vmt_stack_frames *stack, size_t callers)
{
	size_t first = vmt_rank_owner(stack);
	size_t depth = vmt_rank_depth(stack);
	size_t most = first + 1 + callers;

	if (first >= stack->count)
		return (struct shown){0, 0};
	if (depth <= first)
		depth = first + 1;
	return (struct shown){first, depth < most ? depth : most};
}

static int
compare_sites(const void *left, const void *right, void *context)
{
	const struct vmt_site *a = left;
	const struct vmt_site *b = right;
	size_t callers = *(const size_t *)context;
	struct shown of_a = shown_frames(&a->stack, callers);
	struct shown of_b = shown_frames(&b->stack, callers);
	int order = strcmp(a->kind, b->kind);

	if (order == 0)
		order = compare_numbers(of_a.end - of_a.first, of_b.end - of_b.first);
	for (size_t i = 0; order == 0 && of_a.first + i < of_a.end; i++)
		order = compare_frames(&a->stack.frames[of_a.first + i],
				       &b->stack.frames[of_b.first + i]);
	return order;
}

static void
add(struct vmt_site *row, const struct vmt_site *site)
{
	row->count += site->count;
	row->live_count += site->live_count;
	row->reserved_bytes += site->reserved_bytes;
	row->accessible_bytes += site->accessible_bytes;
	row->committed_bytes += site->committed_bytes;
	row->swapped_bytes += site->swapped_bytes;
	row->total_reserved_bytes += site->total_reserved_bytes;
	row->released_bytes += site->released_bytes;
	row->released_committed_bytes += site->released_committed_bytes;
	row->grown_bytes += site->grown_bytes;
	row->estimate |= site->estimate;
	if (site->stack_id < row->stack_id)
		row->stack_id = site->stack_id;
}

struct vmt_site *
vmt_alike_merge(const struct vmt_report *report, size_t callers, size_t *count)
{
	struct vmt_site *rows = calloc(report->site_count + 1, sizeof(*rows));
	size_t used = 0;

	*count = 0;
	if (!rows || report->site_count == 0) {
		free(rows);
		return NULL;
	}
	memcpy(rows, report->sites, report->site_count * sizeof(*rows));
	qsort_r(rows, report->site_count, sizeof(*rows), compare_sites, &callers);
	for (size_t i = 0; i < report->site_count; i++) {
		if (used > 0 && compare_sites(&rows[used - 1], &rows[i], &callers) == 0)
			add(&rows[used - 1], &rows[i]);
		else
			rows[used++] = rows[i];
	}
	*count = used;
	return rows;
}
