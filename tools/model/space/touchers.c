/*
 * Marks of pages, in groups.
 * Over 500 lines: all steps work on the one tree of groups.
 */
#include "tools/model/space/touchers.h"

#include "tools/model/space/seen_pages.h"
#include "tools/model/space/touch_groups.h"
#include "tools/model/space/touch_marks.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define GROUP_PAGES VMT_TOUCH_GROUP_PAGES
#define MOST_REACH 1024u /* pages, in search of a sample that another one stands for */
#define MOST_LOOKED (UINT64_C(1) << 27) /* groups, in search of pages that are gone: seconds */
#define MOST_FORKS UINT8_MAX		/* told from one another; later ones count as one */

/* Pages of one mark that follow one another. */
struct vmt_taken_touch {
	uint64_t page; /* number */
	uint64_t pages;
	uint32_t mark;
	uint32_t serial;
};

struct vmt_touchers {
	struct vmt_touch_groups groups;
	size_t most_groups;
	struct vmt_touch_marks marks;
	struct vmt_seen_pages *seen; /* resident in a snapshot; mark: forks before it */
	unsigned page_shift;
	uint8_t forks;
	uint32_t touches;  /* of a period above 1 */
	uint64_t left_out; /* for want of room */
	uint64_t looked;   /* groups, for pages that are gone */
};

struct vmt_touchers *
vmt_touchers_new(uint64_t page_bytes, size_t most_groups)
{
	struct vmt_touchers *touchers = calloc(1, sizeof(*touchers));

	if (!touchers)
		return NULL;
	touchers->page_shift = (unsigned)__builtin_ctzll(page_bytes);
	touchers->most_groups = most_groups;
	touchers->seen = vmt_seen_pages_new();
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
	vmt_touch_groups_clear(&touchers->groups);
	vmt_seen_pages_free(touchers->seen);
	vmt_touch_marks_clear(&touchers->marks);
	free(touchers);
}

static uint32_t
mark_of_page(const struct vmt_touchers *touchers, uint64_t page)
{
	const struct vmt_touch_group *group = vmt_touch_groups_find(&touchers->groups, page);

	return group ? group->marks[page % GROUP_PAGES] : 0;
}

static void
mark_in_group(struct vmt_touch_group *group, unsigned first, unsigned end, uint32_t mark,
	      uint32_t serial)
{
	for (unsigned i = first; i < end; i++) {
		group->marks[i] = mark;
		group->serials[i] = serial;
		group->old &= (uint16_t) ~(1u << i);
		group->gone &= (uint16_t) ~(1u << i);
	}
}

/* What finds no room is left out. */
static int
mark_pages(struct vmt_touchers *touchers, uint64_t page, uint64_t pages, uint32_t mark,
	   uint32_t serial)
{
	uint64_t end = page + pages;

	while (page < end) {
		unsigned first = page % GROUP_PAGES;
		unsigned last =
		    end - page < GROUP_PAGES - first ? first + (unsigned)(end - page) : GROUP_PAGES;

		if (touchers->groups.count >= touchers->most_groups &&
		    !vmt_touch_groups_find(&touchers->groups, page)) {
			touchers->left_out++;
		} else {
			struct vmt_touch_group *group =
			    vmt_touch_groups_make(&touchers->groups, page);

			if (!group)
				return -ENOMEM;
			mark_in_group(group, first, last, mark, serial);
		}
		page += last - first;
	}
	return 0;
}

static bool
is_seen(const struct vmt_touchers *touchers, uint64_t address)
{
	uint8_t forks;

	return vmt_seen_pages_at(touchers->seen, address, &forks) && forks < touchers->forks;
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
	return mark ? VMT_TOUCH_SAMPLED : VMT_TOUCH_UNKNOWN;
}

static bool
is_older(const struct vmt_touchers *touchers, uint32_t mark)
{
	return mark && touchers->marks.items[mark - 1].forks < touchers->forks;
}

/* The nearest older mark before a page, or behind it, and how far it is; NULL: none within
 * *distance. At most MOST_REACH pages are looked at. */
static uint32_t *
older_before(const struct vmt_touchers *touchers, struct vmt_touch_group *group, uint64_t page,
	     uint64_t *distance)
{
	for (; group; group = vmt_touch_groups_before(group))
		for (unsigned i = GROUP_PAGES; i-- > 0;) {
			uint64_t at = vmt_touch_groups_page(group) + i;

			if (at >= page)
				continue;
			if (page - at > *distance)
				return NULL;
			if (is_older(touchers, group->marks[i])) {
				*distance = page - at;
				return &group->marks[i];
			}
		}
	return NULL;
}

static uint32_t *
older_behind(const struct vmt_touchers *touchers, struct vmt_touch_group *group, uint64_t page,
	     uint64_t *distance)
{
	for (; group; group = vmt_touch_groups_next(group))
		for (unsigned i = 0; i < GROUP_PAGES; i++) {
			uint64_t at = vmt_touch_groups_page(group) + i;

			if (at <= page)
				continue;
			if (at - page > *distance)
				return NULL;
			if (is_older(touchers, group->marks[i])) {
				*distance = at - page;
				return &group->marks[i];
			}
		}
	return NULL;
}

/* Takes the nearest older mark out that lies within `reach` pages: where a sample stands for so
 * many pages touched again, their earlier toucher had about one sample among them. */
static void
drop_nearest_older(struct vmt_touchers *touchers, uint64_t page, uint64_t reach)
{
	struct vmt_touch_group *from = vmt_touch_groups_from(&touchers->groups, page);
	uint64_t distance = reach;
	uint32_t *behind = older_behind(touchers, from, page, &distance);
	uint32_t *before;

	if (!from)
		from = vmt_touch_groups_last(&touchers->groups);
	else if (vmt_touch_groups_page(from) > page)
		from = vmt_touch_groups_before(from);
	before = older_before(touchers, from, page, &distance);
	if (before)
		*before = 0;
	else if (behind)
		*behind = 0;
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
	uint32_t serial = 0;
	uint32_t number;

	assert(pages > 0 && pages <= vmt_touchers_most_pages(UINT64_C(1) << touchers->page_shift));
	*again = find_again(touchers, touch->start);
	if (*again > VMT_TOUCH_UNKNOWN && touch->period > 1 && !mark_of_page(touchers, page))
		drop_nearest_older(touchers, page,
				   touch->period < MOST_REACH ? touch->period : MOST_REACH);
	if (vmt_touch_marks_find(&touchers->marks, &mark, &number))
		return -ENOMEM;
	if (touch->period > 1 && touchers->touches < UINT32_MAX)
		serial = ++touchers->touches;
	return mark_pages(touchers, page, pages, number, serial);
}

static int
append_taken(struct vmt_taken_touches *taken, uint64_t page, uint32_t mark, uint32_t serial)
{
	struct vmt_taken_touch *last =
	    taken->items && taken->count ? &taken->items[taken->count - 1] : NULL;

	if (last && last->mark == mark && last->serial == serial &&
	    last->page + last->pages == page) {
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
	taken->items[taken->count++] = (struct vmt_taken_touch){page, 1, mark, serial};
	return 0;
}

/* Takes the group's pages of [first, end) out. */
static int
take_from(struct vmt_touch_group *group, uint64_t first, uint64_t end,
	  struct vmt_taken_touches *taken)
{
	uint64_t page = vmt_touch_groups_page(group);

	for (unsigned i = 0; i < GROUP_PAGES; i++, page++) {
		if (group->marks[i] == 0 || page < first || page >= end)
			continue;
		if (taken && append_taken(taken, page, group->marks[i], group->serials[i]))
			return -ENOMEM;
		group->marks[i] = 0;
	}
	return 0;
}

static int
take_pages(struct vmt_touchers *touchers, uint64_t first, uint64_t end,
	   struct vmt_taken_touches *taken)
{
	struct vmt_touch_group *group = vmt_touch_groups_from(&touchers->groups, first);
	int status = 0;

	while (group && vmt_touch_groups_page(group) < end && !status) {
		struct vmt_touch_group *next = vmt_touch_groups_next(group);

		status = take_from(group, first, end, taken);
		vmt_touch_groups_drop_empty(&touchers->groups, group);
		group = next;
	}
	return status;
}

int
vmt_touchers_take(struct vmt_touchers *touchers, uint64_t start, uint64_t end,
		  struct vmt_taken_touches *taken)
{
	int status = vmt_seen_pages_take(touchers->seen, start, end, taken ? &taken->seen : NULL);

	if (status || touchers->groups.count == 0 || start >= end)
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
		if (low < high && mark_pages(touchers, low - first + target, high - low,
					     piece->mark, piece->serial))
			return -ENOMEM;
	}
	return vmt_seen_pages_put(touchers->seen, &taken->seen, start, end, to);
}

void
vmt_touchers_fork(struct vmt_touchers *touchers)
{
	if (touchers->forks < MOST_FORKS)
		touchers->forks++;
}

int
vmt_touchers_begin_seen(struct vmt_touchers *touchers, uint32_t snapshot)
{
	return vmt_seen_pages_begin(touchers->seen, snapshot);
}

/* What was gone has been given back: it still is, or is there again without a sample. */
static void
drop_gone(struct vmt_touch_group *group)
{
	for (unsigned i = 0; i < GROUP_PAGES; i++)
		if (group->gone >> i & 1)
			group->marks[i] = 0;
	group->gone = 0;
}

static void
find_gone(const struct vmt_touchers *touchers, const struct vmt_resident *resident,
	  struct vmt_touch_group *group)
{
	uint64_t page = vmt_touch_groups_page(group);

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

static void
drop_all_gone(struct vmt_touchers *touchers, const struct vmt_resident *resident)
{
	struct vmt_touch_group *group = vmt_touch_groups_from(&touchers->groups, 0);

	while (group) {
		struct vmt_touch_group *next = vmt_touch_groups_next(group);

		drop_gone(group);
		if (resident)
			find_gone(touchers, resident, group);
		vmt_touch_groups_drop_empty(&touchers->groups, group);
		group = next;
	}
}

void
vmt_touchers_find_gone(struct vmt_touchers *touchers, const struct vmt_resident *resident)
{
	if (touchers->looked > MOST_LOOKED)
		return;
	touchers->looked += touchers->groups.count;
	drop_all_gone(touchers, resident);
}

void
vmt_touchers_drop_gone(struct vmt_touchers *touchers)
{
	drop_all_gone(touchers, NULL);
}

int
vmt_touchers_see(struct vmt_touchers *touchers, uint64_t start, uint64_t end, bool shared)
{
	return vmt_seen_pages_add(touchers->seen, start, end, shared ? 0 : touchers->forks);
}

bool
vmt_touchers_is_empty(const struct vmt_touchers *touchers)
{
	return touchers->marks.count == 0;
}

uint64_t
vmt_touchers_left_out(const struct vmt_touchers *touchers)
{
	return touchers->left_out;
}

static struct vmt_touch
touch_of(const struct vmt_touchers *touchers, const struct vmt_touch_group *group, unsigned at)
{
	const struct vmt_touch_mark *found = &touchers->marks.items[group->marks[at] - 1];
	uint64_t page = vmt_touch_groups_page(group) + at;

	return (struct vmt_touch){.start = page << touchers->page_shift,
				  .end = (page + 1) << touchers->page_shift,
				  .period = found->period,
				  .toucher = found->toucher,
				  .serial = group->serials[at],
				  .page_shift = found->page_shift};
}

bool
vmt_touchers_at(const struct vmt_touchers *touchers, uint64_t address, struct vmt_touch *touch)
{
	uint64_t page = address >> touchers->page_shift;
	const struct vmt_touch_group *group = vmt_touch_groups_find(&touchers->groups, page);

	if (!group || !group->marks[page % GROUP_PAGES])
		return false;
	*touch = touch_of(touchers, group, page % GROUP_PAGES);
	return true;
}

bool
vmt_touchers_is_clear(const struct vmt_touchers *touchers, uint64_t start, uint64_t end)
{
	uint64_t first = start >> touchers->page_shift;
	uint64_t last = end >> touchers->page_shift;
	struct vmt_touch_group *group = vmt_touch_groups_from(&touchers->groups, first);

	for (; group && vmt_touch_groups_page(group) < last; group = vmt_touch_groups_next(group))
		for (unsigned i = 0; i < GROUP_PAGES; i++) {
			uint64_t page = vmt_touch_groups_page(group) + i;

			if (page >= first && page < last && group->marks[i])
				return false;
		}
	return true;
}

static bool
is_alike(const struct vmt_touch *left, const struct vmt_touch *right)
{
	return left->end == right->start && left->toucher == right->toucher &&
	       left->period == right->period && left->page_shift == right->page_shift &&
	       left->serial == right->serial;
}

static void
append_group(const struct vmt_touchers *touchers, const struct vmt_touch_group *group,
	     struct vmt_touch *list, size_t *count)
{
	for (unsigned i = 0; i < GROUP_PAGES; i++) {
		struct vmt_touch touch;

		if (group->marks[i] == 0)
			continue;
		touch = touch_of(touchers, group, i);
		if (*count && is_alike(&list[*count - 1], &touch))
			list[*count - 1].end = touch.end;
		else
			list[(*count)++] = touch;
	}
}

static size_t
count_pages(const struct vmt_touch_groups *groups)
{
	struct vmt_touch_group *group = vmt_touch_groups_from(groups, 0);
	size_t pages = 0;

	for (; group; group = vmt_touch_groups_next(group))
		for (unsigned i = 0; i < GROUP_PAGES; i++)
			pages += group->marks[i] != 0;
	return pages;
}

int
vmt_touchers_list(const struct vmt_touchers *touchers, struct vmt_touch **list, size_t *count)
{
	struct vmt_touch_group *group = vmt_touch_groups_from(&touchers->groups, 0);

	*count = 0;
	*list = calloc(count_pages(&touchers->groups) + 1, sizeof(**list));
	for (; *list && group; group = vmt_touch_groups_next(group))
		append_group(touchers, group, *list, count);
	return *list ? 0 : -ENOMEM;
}

int
vmt_touchers_list_seen(const struct vmt_touchers *touchers, struct vmt_touch **list, size_t *count)
{
	struct vmt_extents extents = {0};
	int status = vmt_seen_pages_list(touchers->seen, &extents);

	*count = 0;
	*list = status ? NULL : calloc(extents.count + 1, sizeof(**list));
	for (size_t i = 0; *list && i < extents.count; i++)
		(*list)[(*count)++] =
		    (struct vmt_touch){.start = extents.items[i].start,
				       .end = extents.items[i].end,
				       .period = 1,
				       .toucher = (uint32_t)extents.items[i].call,
				       .page_shift = (uint8_t)touchers->page_shift};
	vmt_extents_clear(&extents);
	return *list ? 0 : -ENOMEM;
}

void
vmt_taken_touches_clear(struct vmt_taken_touches *taken)
{
	free(taken->items);
	vmt_extents_clear(&taken->seen);
	*taken = (struct vmt_taken_touches){0};
}
