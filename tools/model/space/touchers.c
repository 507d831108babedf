/*
 * Marks of pages, in groups.
 * Over 500 lines: all steps work on the one table of groups.
 */
#include "tools/model/space/touchers.h"

#include "tools/hash_seed.h"
#include "tools/model/space/touch_marks.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define GROUP_SHIFT 4u
#define GROUP_PAGES (1u << GROUP_SHIFT)
#define MOST_REACH 1024u /* pages, in search of a sample that another one stands for */
#define MOST_LOOKED (UINT64_C(1) << 27) /* groups, in search of pages that are gone: seconds */
#define MOST_FORKS UINT8_MAX		/* told from one another; later ones count as one */

struct group {
	uint64_t key;		     /* address / bytes of a group, + 1; 0 = no group */
	uint32_t marks[GROUP_PAGES]; /* number of the mark; 0 = no sample */
	uint16_t old;		     /* bit by page: the mark was there at the last snapshot ... */
	uint16_t gone;		     /* ... and the page no more at a later one */
};

/* Pages of one mark that follow one another. */
struct vmt_taken_touch {
	uint64_t page; /* number */
	uint64_t pages;
	uint32_t mark;
};

struct vmt_touchers {
	struct group *groups; /* open addressing */
	size_t group_mask;
	size_t groups_used; /* empty ones included, until the table grows */
	struct vmt_touch_marks marks;
	struct vmt_space *seen; /* resident in a snapshot; protection: forks before it */
	unsigned page_shift;
	uint8_t forks;
	uint64_t looked; /* groups, for pages that are gone */
};

struct vmt_touchers *
vmt_touchers_new(uint64_t page_bytes)
{
	struct vmt_touchers *touchers = calloc(1, sizeof(*touchers));

	if (!touchers)
		return NULL;
	touchers->page_shift = (unsigned)__builtin_ctzll(page_bytes);
	touchers->seen = vmt_space_new();
	if (touchers->seen)
		return touchers;
	vmt_touchers_free(touchers);
	return NULL;
}

void
vmt_touchers_free(struct vmt_touchers *touchers)
{
	if (!touchers)
		return;
	vmt_space_free(touchers->seen);
	free(touchers->groups);
	vmt_touch_marks_clear(&touchers->marks);
	free(touchers);
}

static bool
is_empty(const struct group *group)
{
	uint32_t any = 0;

	for (unsigned i = 0; i < GROUP_PAGES; i++)
		any |= group->marks[i];
	return any == 0;
}

static struct group *
group_slot(struct group *groups, size_t mask, uint64_t key)
{
	size_t at = (size_t)vmt_hash_word(key) & mask;

	while (groups[at].key != 0 && groups[at].key != key)
		at = (at + 1) & mask;
	return &groups[at];
}

/* Where many groups have become empty, the table stays as large as it is. */
static int
grow_groups(struct vmt_touchers *touchers)
{
	size_t room = touchers->groups ? touchers->group_mask + 1 : 0;
	size_t wanted = room;
	size_t live = 0;
	struct group *groups;

	if (room && touchers->groups_used < room / 4 * 3)
		return 0;
	for (size_t i = 0; i < room; i++)
		live += touchers->groups[i].key && !is_empty(&touchers->groups[i]);
	if (live >= room / 2)
		wanted = room ? room * 2 : 64;
	groups = calloc(wanted, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < room; i++) {
		const struct group *group = &touchers->groups[i];

		if (group->key && !is_empty(group))
			*group_slot(groups, wanted - 1, group->key) = *group;
	}
	free(touchers->groups);
	touchers->groups = groups;
	touchers->group_mask = wanted - 1;
	touchers->groups_used = live;
	return 0;
}

/* The group of a page, made where it is not there. */
static struct group *
make_group(struct vmt_touchers *touchers, uint64_t page)
{
	uint64_t key = (page >> GROUP_SHIFT) + 1;
	struct group *group;

	if (grow_groups(touchers))
		return NULL;
	group = group_slot(touchers->groups, touchers->group_mask, key);
	if (group->key == 0) {
		group->key = key;
		touchers->groups_used++;
	}
	return group;
}

/* The mark of a page; NULL where its group is not there. */
static uint32_t *
find_page(const struct vmt_touchers *touchers, uint64_t page)
{
	struct group *group;

	if (!touchers->groups)
		return NULL;
	group = group_slot(touchers->groups, touchers->group_mask, (page >> GROUP_SHIFT) + 1);
	return group->key ? &group->marks[page % GROUP_PAGES] : NULL;
}

static uint32_t
mark_of_page(const struct vmt_touchers *touchers, uint64_t page)
{
	const uint32_t *mark = find_page(touchers, page);

	return mark ? *mark : 0;
}

static int
mark_pages(struct vmt_touchers *touchers, uint64_t page, uint64_t pages, uint32_t mark)
{
	while (pages > 0) {
		struct group *group = make_group(touchers, page);

		if (!group)
			return -ENOMEM;
		do {
			group->marks[page % GROUP_PAGES] = mark;
			group->old &= (uint16_t) ~(1u << page % GROUP_PAGES);
			group->gone &= (uint16_t) ~(1u << page % GROUP_PAGES);
			page++;
			pages--;
		} while (pages > 0 && page % GROUP_PAGES != 0);
	}
	return 0;
}

static bool
is_seen(const struct vmt_touchers *touchers, uint64_t address)
{
	const struct vmt_extent *seen = vmt_space_next(touchers->seen, address);

	return seen && seen->start <= address && seen->protection < touchers->forks;
}

/* How it is known that the page was resident before the last fork, and not touched since. */
static enum vmt_touch_again
find_again(const struct vmt_touchers *touchers, uint64_t address)
{
	uint32_t mark = mark_of_page(touchers, address >> touchers->page_shift);

	if (touchers->forks == 0 ||
	    (mark && touchers->marks.items[mark - 1].forks == touchers->forks))
		return VMT_TOUCH_NEW;
	if (is_seen(touchers, address))
		return VMT_TOUCH_SEEN;
	return mark ? VMT_TOUCH_SAMPLED : VMT_TOUCH_NEW;
}

/* Takes the nearest older mark out that lies within `reach` pages: where a sample stands for so
 * many pages touched again, their earlier toucher had about one sample among them. */
static void
drop_nearest_older(struct vmt_touchers *touchers, uint64_t page, uint64_t reach)
{
	for (uint64_t i = 1; i <= reach; i++) {
		uint64_t near[] = {page + i, page >= i ? page - i : page};

		for (unsigned j = 0; j < 2; j++) {
			uint32_t *mark = find_page(touchers, near[j]);

			if (mark && *mark &&
			    touchers->marks.items[*mark - 1].forks < touchers->forks) {
				*mark = 0;
				return;
			}
		}
	}
}

int
vmt_touchers_touch(struct vmt_touchers *touchers, const struct vmt_touch *touch,
		   enum vmt_touch_again *again)
{
	const struct vmt_touch_mark mark = {.period = touch->period,
					    .toucher = touch->toucher,
					    .page_shift = touch->page_shift,
					    .forks = touchers->forks};
	uint64_t page = touch->start >> touchers->page_shift;
	uint64_t pages = (touch->end >> touchers->page_shift) - page;
	uint32_t number;

	assert(pages > 0 && pages <= VMT_TOUCHERS_MOST_PAGES);
	*again = find_again(touchers, touch->start);
	if (*again != VMT_TOUCH_NEW && touch->period > 1 && !mark_of_page(touchers, page))
		drop_nearest_older(touchers, page,
				   touch->period < MOST_REACH ? touch->period : MOST_REACH);
	if (vmt_touch_marks_find(&touchers->marks, &mark, &number))
		return -ENOMEM;
	return mark_pages(touchers, page, pages, number);
}

static int
append_taken(struct vmt_taken_touches *taken, uint64_t page, uint32_t mark)
{
	struct vmt_taken_touch *last =
	    taken->items && taken->count ? &taken->items[taken->count - 1] : NULL;

	if (last && last->mark == mark && last->page + last->pages == page) {
		last->pages++;
		return 0;
	}
	if (!taken->items || taken->count == taken->room) {
		size_t room = taken->room ? taken->room * 2 : 16;
		struct vmt_taken_touch *items = reallocarray(taken->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		taken->items = items;
		taken->room = room;
	}
	taken->items[taken->count++] = (struct vmt_taken_touch){page, 1, mark};
	return 0;
}

/* Takes the group's pages of [first, end) out. */
static int
take_from(struct group *group, uint64_t first, uint64_t end, struct vmt_taken_touches *taken)
{
	uint64_t page = (group->key - 1) << GROUP_SHIFT;

	for (unsigned i = 0; i < GROUP_PAGES; i++, page++) {
		if (group->marks[i] == 0 || page < first || page >= end)
			continue;
		if (taken && append_taken(taken, page, group->marks[i]))
			return -ENOMEM;
		group->marks[i] = 0;
	}
	return 0;
}

static int
take_pages(struct vmt_touchers *touchers, uint64_t first, uint64_t end,
	   struct vmt_taken_touches *taken)
{
	uint64_t low = (first >> GROUP_SHIFT) + 1;
	uint64_t high = ((end - 1) >> GROUP_SHIFT) + 1;
	int status = 0;

	if (high - low > touchers->group_mask) {
		for (size_t i = 0; i <= touchers->group_mask && !status; i++)
			if (touchers->groups[i].key >= low && touchers->groups[i].key <= high)
				status = take_from(&touchers->groups[i], first, end, taken);
		return status;
	}
	for (uint64_t key = low; key <= high && !status; key++) {
		struct group *group = group_slot(touchers->groups, touchers->group_mask, key);

		if (group->key)
			status = take_from(group, first, end, taken);
	}
	return status;
}

static int
take_seen(struct vmt_touchers *touchers, uint64_t start, uint64_t end)
{
	const struct vmt_extent *seen = vmt_space_next(touchers->seen, start);
	struct vmt_extents removed = {0};
	int status = 0;

	if (seen && seen->start < end)
		status = vmt_space_remove(touchers->seen, start, end, &removed);
	vmt_extents_clear(&removed);
	return status;
}

int
vmt_touchers_take(struct vmt_touchers *touchers, uint64_t start, uint64_t end,
		  struct vmt_taken_touches *taken)
{
	int status = take_seen(touchers, start, end);

	if (status || touchers->groups_used == 0 || start >= end)
		return status;
	return take_pages(touchers, start >> touchers->page_shift, end >> touchers->page_shift,
			  taken);
}

int
vmt_touchers_put(struct vmt_touchers *touchers, const struct vmt_taken_touches *taken,
		 uint64_t start, uint64_t end, uint64_t to)
{
	uint64_t first = start >> touchers->page_shift;
	uint64_t last = end >> touchers->page_shift;
	uint64_t target = to >> touchers->page_shift;

	for (size_t i = 0; i < taken->count; i++) {
		const struct vmt_taken_touch *piece = &taken->items[i];
		uint64_t low = piece->page > first ? piece->page : first;
		uint64_t high = piece->page + piece->pages;

		if (high > last)
			high = last;
		if (low < high &&
		    mark_pages(touchers, low - first + target, high - low, piece->mark))
			return -ENOMEM;
	}
	return 0;
}

void
vmt_touchers_fork(struct vmt_touchers *touchers)
{
	if (touchers->forks < MOST_FORKS)
		touchers->forks++;
}

int
vmt_touchers_forget_seen(struct vmt_touchers *touchers)
{
	struct vmt_space *none = vmt_space_new();

	if (!none)
		return -ENOMEM;
	vmt_space_free(touchers->seen);
	touchers->seen = none;
	return 0;
}

/* What was gone has been given back: it still is, or is there again without a sample. */
static void
drop_gone(struct group *group)
{
	for (unsigned i = 0; i < GROUP_PAGES; i++)
		if (group->gone >> i & 1)
			group->marks[i] = 0;
	group->gone = 0;
}

static void
find_gone(const struct vmt_touchers *touchers, const struct vmt_resident *resident,
	  struct group *group)
{
	uint64_t page = (group->key - 1) << GROUP_SHIFT;

	for (unsigned i = 0; i < GROUP_PAGES; i++, page++) {
		uint16_t bit = (uint16_t)(1u << i);

		if (!group->marks[i])
			continue;
		if ((group->old & bit) &&
		    !vmt_resident_has_page(resident, page << touchers->page_shift))
			group->gone |= bit;
		group->old |= bit;
	}
}

void
vmt_touchers_find_gone(struct vmt_touchers *touchers, const struct vmt_resident *resident)
{
	if (!touchers->groups || touchers->looked > MOST_LOOKED)
		return;
	touchers->looked += touchers->group_mask + 1;
	for (size_t i = 0; i <= touchers->group_mask; i++) {
		drop_gone(&touchers->groups[i]);
		if (touchers->groups[i].key)
			find_gone(touchers, resident, &touchers->groups[i]);
	}
}

void
vmt_touchers_drop_gone(struct vmt_touchers *touchers)
{
	for (size_t i = 0; touchers->groups && i <= touchers->group_mask; i++)
		drop_gone(&touchers->groups[i]);
}

int
vmt_touchers_see(struct vmt_touchers *touchers, uint64_t start, uint64_t end, bool shared)
{
	const struct vmt_extent extent = {
	    .start = start, .end = end, .protection = shared ? 0 : touchers->forks};
	int status = take_seen(touchers, start, end);

	return status ? status : vmt_space_put(touchers->seen, &extent);
}

bool
vmt_touchers_is_empty(const struct vmt_touchers *touchers)
{
	return touchers->marks.count == 0;
}

static struct vmt_touch
touch_of(const struct vmt_touchers *touchers, uint64_t page, uint32_t mark)
{
	const struct vmt_touch_mark *found = &touchers->marks.items[mark - 1];

	return (struct vmt_touch){.start = page << touchers->page_shift,
				  .end = (page + 1) << touchers->page_shift,
				  .period = found->period,
				  .toucher = found->toucher,
				  .page_shift = found->page_shift};
}

bool
vmt_touchers_at(const struct vmt_touchers *touchers, uint64_t address, struct vmt_touch *touch)
{
	uint64_t page = address >> touchers->page_shift;
	uint32_t mark = mark_of_page(touchers, page);

	if (mark)
		*touch = touch_of(touchers, page, mark);
	return mark != 0;
}

static int
compare_groups(const void *left, const void *right)
{
	const struct group *const *a = left;
	const struct group *const *b = right;

	return ((*a)->key > (*b)->key) - ((*a)->key < (*b)->key);
}

/* The groups in address order, NULL behind them; NULL = no memory. */
static const struct group **
sort_groups(const struct vmt_touchers *touchers, size_t *pages)
{
	const struct group **sorted =
	    calloc(touchers->groups_used + 1, sizeof(const struct group *));
	size_t count = 0;

	*pages = 0;
	for (size_t i = 0; sorted && touchers->groups && i <= touchers->group_mask; i++) {
		const struct group *group = &touchers->groups[i];

		if (group->key == 0 || is_empty(group))
			continue;
		sorted[count++] = group;
		for (unsigned j = 0; j < GROUP_PAGES; j++)
			*pages += group->marks[j] != 0;
	}
	if (sorted)
		qsort(sorted, count, sizeof(*sorted), compare_groups);
	return sorted;
}

static bool
is_alike(const struct vmt_touch *left, const struct vmt_touch *right)
{
	return left->end == right->start && left->toucher == right->toucher &&
	       left->period == right->period && left->page_shift == right->page_shift;
}

static void
append_group(const struct vmt_touchers *touchers, const struct group *group, struct vmt_touch *list,
	     size_t *count)
{
	uint64_t page = (group->key - 1) << GROUP_SHIFT;

	for (unsigned i = 0; i < GROUP_PAGES; i++) {
		struct vmt_touch touch;

		if (group->marks[i] == 0)
			continue;
		touch = touch_of(touchers, page + i, group->marks[i]);
		if (*count && is_alike(&list[*count - 1], &touch))
			list[*count - 1].end = touch.end;
		else
			list[(*count)++] = touch;
	}
}

int
vmt_touchers_list(const struct vmt_touchers *touchers, struct vmt_touch **list, size_t *count)
{
	size_t pages;
	const struct group **sorted = sort_groups(touchers, &pages);

	*count = 0;
	*list = sorted ? calloc(pages + 1, sizeof(**list)) : NULL;
	for (size_t i = 0; *list && sorted[i]; i++)
		append_group(touchers, sorted[i], *list, count);
	free(sorted);
	return *list ? 0 : -ENOMEM;
}

size_t
vmt_touchers_longest_way(const struct vmt_touchers *touchers)
{
	size_t longest = 0;
	size_t way = 0;

	for (size_t i = 0; touchers->groups && i <= touchers->group_mask; i++) {
		way = touchers->groups[i].key ? way + 1 : 0;
		longest = way > longest ? way : longest;
	}
	return longest;
}
