#include "tools/model/tree/tree_pages.h"

#include "tools/model/tree/tree.h"

#include <stdlib.h>

enum kind {
	KIND_FILE,   /* by place in a file */
	KIND_SHARED, /* private pages that others map too, by address */
	KIND_APART,  /* pages that nobody else has, of a snapshot that stands apart, by address */
};

struct range {
	uint64_t inode; /* 0 but of a file, as the device */
	uint64_t start;
	uint64_t end;
	uint32_t device;
	uint32_t kind;
};

struct vmt_tree_pages {
	struct range *all;
	size_t count;
	size_t room;
	uint64_t alone_bytes; /* private pages that surely nobody shares */
};

struct vmt_tree_pages *
vmt_tree_pages_new(void)
{
	return calloc(1, sizeof(struct vmt_tree_pages));
}

void
vmt_tree_pages_free(struct vmt_tree_pages *pages)
{
	if (pages)
		free(pages->all);
	free(pages);
}

void
vmt_tree_pages_clear(struct vmt_tree_pages *pages)
{
	pages->count = 0;
	pages->alone_bytes = 0;
}

static int
compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_keys(const struct range *a, const struct range *b)
{
	int order = compare_u64(a->kind, b->kind);

	order = order ? order : compare_u64(a->device, b->device);
	return order ? order : compare_u64(a->inode, b->inode);
}

static int
compare(const void *left, const void *right)
{
	const struct range *a = left;
	const struct range *b = right;
	int order = compare_keys(a, b);

	return order ? order : compare_u64(a->start, b->start);
}

/* Joins what overlaps or touches, but what stands apart: each of those is a page of its own. */
static void
join(struct vmt_tree_pages *pages)
{
	size_t kept = 0;

	if (pages->count == 0)
		return;
	qsort(pages->all, pages->count, sizeof(*pages->all), compare);
	for (size_t i = 1; i < pages->count; i++) {
		struct range *last = &pages->all[kept];
		const struct range *range = &pages->all[i];

		if (range->kind == KIND_APART || compare_keys(last, range) != 0 ||
		    range->start > last->end)
			pages->all[++kept] = *range;
		else if (range->end > last->end)
			last->end = range->end;
	}
	pages->count = kept + 1;
}

/* What is joined makes room, if it is at least half: else joining would never end. */
static bool
has_room(struct vmt_tree_pages *pages)
{
	size_t room = pages->room ? pages->room * 2 : 1024;
	struct range *all;

	if (pages->count < pages->room)
		return true;
	join(pages);
	if (pages->room && pages->count <= pages->room / 2)
		return true;
	if (room > VMT_TREE_PAGES_MOST)
		return false;
	all = realloc(pages->all, room * sizeof(*all));
	if (!all)
		return false;
	pages->all = all;
	pages->room = room;
	return true;
}

static bool
add(struct vmt_tree_pages *pages, const struct vmt_mapping *mapping, const struct vmt_run *run,
    bool is_apart)
{
	struct range range = {.start = run->start, .end = run->start + run->bytes};

	if (!(run->kind & (VMT_RUN_FILE | VMT_RUN_SHARED)) && !is_apart) {
		pages->alone_bytes =
		    vmt_tree_figure(pages->alone_bytes + vmt_tree_figure(run->bytes));
		return true;
	}
	if (!has_room(pages))
		return false;
	range.kind = run->kind & VMT_RUN_SHARED ? KIND_SHARED : KIND_APART;
	if (run->kind & VMT_RUN_FILE) {
		range.kind = KIND_FILE;
		range.inode = mapping->inode;
		range.device = mapping->device;
		/* An offset is untrusted, and may go beyond all numbers. */
		range.start = mapping->file_offset + (run->start - mapping->start);
		range.end = range.start + run->bytes;
		if (range.end < range.start)
			return false;
	}
	pages->all[pages->count++] = range;
	return true;
}

static bool
is_in_ram(const struct vmt_run *run)
{
	return (run->kind & VMT_RUN_PRESENT) && !(run->kind & VMT_RUN_ZERO);
}

bool
vmt_tree_pages_add(struct vmt_tree_pages *pages, const struct vmt_snapshot *snapshot, bool is_apart)
{
	for (uint32_t i = 0; i < snapshot->head.mappings; i++) {
		const struct vmt_snapshot_mapping *mapping = &snapshot->mappings[i];

		for (uint32_t j = 0; j < mapping->runs; j++) {
			const struct vmt_run *run = &snapshot->runs[mapping->first_run + j];

			if (is_in_ram(run) && !add(pages, &mapping->mapping, run, is_apart))
				return false;
		}
	}
	return true;
}

/* How many from there on are of one kind. */
static size_t
count_kind(const struct vmt_tree_pages *pages, size_t from, enum kind kind)
{
	size_t at = from;

	while (at < pages->count && pages->all[at].kind == kind)
		at++;
	return at - from;
}

static uint64_t
sum_bytes(const struct range *ranges, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes = vmt_tree_figure(bytes + vmt_tree_figure(ranges[i].end - ranges[i].start));
	return bytes;
}

/* What of a range is in none of others, which are sorted and joined, from *at on; that goes up with
 * the ranges. */
static uint64_t
bytes_outside(const struct range *range, const struct range *others, size_t count, size_t *at)
{
	uint64_t bytes = range->end - range->start;

	while (*at < count && others[*at].end <= range->start)
		(*at)++;
	for (size_t i = *at; i < count && others[i].start < range->end; i++) {
		uint64_t start = others[i].start > range->start ? others[i].start : range->start;
		uint64_t end = others[i].end < range->end ? others[i].end : range->end;

		bytes -= end - start;
	}
	return bytes;
}

void
vmt_tree_pages_sum(struct vmt_tree_pages *pages, struct vmt_tree_page_sums *sums)
{
	size_t files, shared, at = 0;

	join(pages);
	files = count_kind(pages, 0, KIND_FILE);
	shared = count_kind(pages, files, KIND_SHARED);
	*sums = (struct vmt_tree_page_sums){
	    .file_bytes = sum_bytes(pages->all, files),
	    .anonymous_bytes = pages->alone_bytes + sum_bytes(&pages->all[files], shared),
	};
	for (size_t i = files + shared; i < pages->count; i++)
		sums->anonymous_bytes = vmt_tree_figure(
		    sums->anonymous_bytes + vmt_tree_figure(bytes_outside(
						&pages->all[i], &pages->all[files], shared, &at)));
}
