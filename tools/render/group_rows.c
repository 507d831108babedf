#include "tools/render/group_rows.h"

#include "format/chunk.h"
#include "tools/hash_seed.h"
#include "tools/render/rank.h"

#include <stdint.h>
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
	return a == b ? 0 : strcmp(a ? a : "", b ? b : "");
}

/* 0 where both print the same. */
int
vmt_group_rows_compare_frames(const struct vmt_frame *a, const struct vmt_frame *b)
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

int
vmt_group_rows_compare(const struct vmt_rank_walk *a, const struct vmt_rank_walk *b)
{
	struct vmt_rank_walk walks[2] = {*a, *b};
	const struct vmt_frame *frames[2];
	int order = 0;

	do {
		frames[0] = vmt_rank_walk_next(&walks[0]);
		frames[1] = vmt_rank_walk_next(&walks[1]);
		if (!frames[0] || !frames[1])
			return (frames[0] != NULL) - (frames[1] != NULL);
		order = walks[0].skipped - walks[1].skipped;
		if (order == 0)
			order = vmt_group_rows_compare_frames(frames[0], frames[1]);
	} while (order == 0);
	return order;
}

/* A site, or several that print the same: the first of them, and which of its frames are shown. */
struct shown {
	const struct vmt_site *site;
	struct vmt_rank_walk walk;
	bool by_class;
	uint64_t hash;
	size_t row; /* of vmt_group_rows_merge */
};

static int
compare_shown(const void *left, const void *right)
{
	const struct shown *a = left;
	const struct shown *b = right;
	int order = strcmp(a->site->kind, b->site->kind);

	if (order == 0 && a->by_class)
		order = compare_texts(a->site->class, b->site->class);
	return order ? order : vmt_group_rows_compare(&a->walk, &b->walk);
}

static struct shown
show(const struct vmt_site *site, size_t callers)
{
	struct shown shown = {.site = site, .by_class = callers == 0};

	vmt_rank_walk_begin(&shown.walk, &site->stack, callers);
	return shown;
}

bool
vmt_group_rows_is_same(const struct vmt_site *a, const struct vmt_site *b, size_t callers)
{
	struct shown left = show(a, callers);
	struct shown right = show(b, callers);

	return compare_shown(&left, &right) == 0;
}

/* A sum of which a part is not known is not known. */
static uint64_t
add_known(uint64_t sum, uint64_t part)
{
	return sum == VMT_FIGURE_UNKNOWN || part == VMT_FIGURE_UNKNOWN ? VMT_FIGURE_UNKNOWN
								       : sum + part;
}

void
vmt_group_rows_add(struct vmt_site *row, const struct vmt_site *site)
{
	row->count += site->count;
	row->live_count += site->live_count;
	row->reserved_bytes += site->reserved_bytes;
	row->accessible_bytes += site->accessible_bytes;
	row->committed_bytes += site->committed_bytes;
	row->swapped_bytes += site->swapped_bytes;
	row->never_touched_bytes += site->never_touched_bytes;
	row->hugetlb_bytes += site->hugetlb_bytes;
	row->total_reserved_bytes += site->total_reserved_bytes;
	row->released_bytes += site->released_bytes;
	row->released_committed_bytes += site->released_committed_bytes;
	row->pins_bytes += site->pins_bytes;
	row->grown_bytes += site->grown_bytes;
	row->since_requested_bytes += site->since_requested_bytes;
	row->since_released_bytes += site->since_released_bytes;
	row->missed_requested_bytes += site->missed_requested_bytes;
	row->end_bytes += site->end_bytes;
	row->end_count = add_known(row->end_count, site->end_count);
	row->temporary_count = add_known(row->temporary_count, site->temporary_count);
	row->estimate |= site->estimate;
	row->released_committed_is_estimate |= site->released_committed_is_estimate;
	if (site->stack_id < row->stack_id)
		row->stack_id = site->stack_id;
}

static uint64_t
mix(uint64_t hash, const void *text)
{
	return vmt_hash_word(hash ^ (uintptr_t)text);
}

/* By where the texts lie, as a report has most of them once: two of one hash and one look print the
 * same, two that print the same may have another hash. */
static uint64_t
hash_shown(const struct shown *shown)
{
	struct vmt_rank_walk walk = shown->walk;
	uint64_t hash = mix(shown->by_class, shown->site->kind);
	const struct vmt_frame *frame;

	if (shown->by_class)
		hash = mix(hash, shown->site->class);
	while ((frame = vmt_rank_walk_next(&walk)) != NULL) {
		hash = mix(mix(mix(hash, frame->function), frame->module), frame->file);
		hash = vmt_hash_word(hash ^ frame->line);
		if (!frame->function)
			hash = vmt_hash_word(
			    hash ^ (frame->module ? frame->module_offset : frame->address));
	}
	return hash;
}

/* The sites by which rows were begun, in the order in which they were, and where each is found by
 * its hash: the number of one and 1, 0 = empty. */
struct first_sites {
	struct shown *items;
	size_t count;
	size_t *slots;
	size_t mask;
};

/* The place of a site that prints the same, or the empty one for this site. */
static size_t *
find_slot(const struct first_sites *first, const struct shown *shown)
{
	size_t at = shown->hash & first->mask;

	for (; first->slots[at] != 0; at = (at + 1) & first->mask) {
		const struct shown *other = &first->items[first->slots[at] - 1];

		if (other->hash == shown->hash && compare_shown(other, shown) == 0)
			break;
	}
	return &first->slots[at];
}

static void
group(const struct vmt_report *report, size_t callers, struct first_sites *first,
      struct vmt_site *rows)
{
	for (size_t i = 0; i < report->site_count; i++) {
		struct shown shown = show(&report->sites[i], callers);
		size_t *slot;

		shown.hash = hash_shown(&shown);
		slot = find_slot(first, &shown);
		if (*slot != 0) {
			vmt_group_rows_add(&rows[first->items[*slot - 1].row], shown.site);
			continue;
		}
		shown.row = first->count;
		rows[first->count] = *shown.site;
		first->items[first->count++] = shown;
		*slot = first->count;
	}
}

/* Groups of one print become a row, in the order of what is printed. */
static size_t
merge_sorted(const struct first_sites *first, const struct vmt_site *groups, struct vmt_site *rows)
{
	const struct shown *items = first->items;
	size_t used = 0;

	for (size_t i = 0; i < first->count; i++) {
		if (i > 0 && compare_shown(&items[i - 1], &items[i]) == 0)
			vmt_group_rows_add(&rows[used - 1], &groups[items[i].row]);
		else
			rows[used++] = groups[items[i].row];
	}
	return used;
}

static bool
make_room(struct first_sites *first, size_t sites)
{
	size_t slots = 16;

	while (slots < 2 * sites)
		slots *= 2;
	*first = (struct first_sites){.items = calloc(sites, sizeof(*first->items)),
				      .slots = calloc(slots, sizeof(*first->slots)),
				      .mask = slots - 1};
	return first->items && first->slots;
}

struct vmt_site *
vmt_group_rows_merge(const struct vmt_report *report, size_t callers, size_t *count)
{
	struct first_sites first = {.items = NULL};
	struct vmt_site *groups = calloc(report->site_count + 1, sizeof(*groups));
	struct vmt_site *rows = NULL;

	*count = 0;
	if (report->site_count != 0 && groups && make_room(&first, report->site_count)) {
		group(report, callers, &first, groups);
		rows = calloc(first.count + 1, sizeof(*rows));
		qsort(first.items, first.count, sizeof(*first.items), compare_shown);
	}
	if (rows)
		*count = merge_sorted(&first, groups, rows);
	free(first.items);
	free(first.slots);
	free(groups);
	return rows;
}
