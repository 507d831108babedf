#include "tools/model/space/space.h"

#include <assert.h>
#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>

struct node {
	RB_ENTRY(node) links;
	struct vmt_extent extent;
};

RB_HEAD(tree, node);

struct vmt_space {
	struct tree tree;
	size_t count;
};

/* Disjoint extents have the same order by end as by start; by end, the nearest node not below
 * address + 1 is the first that ends after it. */
static int
compare_ends(const struct node *left, const struct node *right)
{
	if (left->extent.end == right->extent.end)
		return 0;
	return left->extent.end < right->extent.end ? -1 : 1;
}

RB_GENERATE_INTERNAL(tree, node, links, compare_ends, __attribute__((unused)) static)

void
vmt_extents_clear(struct vmt_extents *extents)
{
	free(extents->items);
	*extents = (struct vmt_extents){0};
}

int
vmt_extents_reserve(struct vmt_extents *extents, size_t more)
{
	size_t room = extents->room ? extents->room : 4;
	struct vmt_extent *items;

	if (extents->room - extents->count >= more)
		return 0;
	while (room - extents->count < more)
		room *= 2;
	items = reallocarray(extents->items, room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	assert(room - extents->count >= more);
	extents->items = items;
	extents->room = room;
	return 0;
}

struct vmt_space *
vmt_space_new(void)
{
	struct vmt_space *space = calloc(1, sizeof(*space));

	if (space)
		RB_INIT(&space->tree);
	return space;
}

void
vmt_space_free(struct vmt_space *space)
{
	struct node *node;

	if (!space)
		return;
	while ((node = RB_ROOT(&space->tree))) {
		RB_REMOVE(tree, &space->tree, node);
		free(node);
	}
	free(space);
}

/* The tree's macros take a mutable head although a search changes nothing. */
static struct node *
first_after(const struct vmt_space *space, uint64_t address)
{
	struct node key = {.extent = {.end = address + 1}};
	struct tree head = space->tree;

	return RB_NFIND(tree, &head, &key);
}

static bool
alike(const struct node *low, const struct node *high)
{
	return low->extent.end == high->extent.start && low->extent.call == high->extent.call &&
	       low->extent.site == high->extent.site && low->extent.kind == high->extent.kind &&
	       low->extent.protection == high->extent.protection;
}

static void
drop(struct vmt_space *space, struct node *node)
{
	RB_REMOVE(tree, &space->tree, node);
	assert(space->count > 0);
	space->count--;
	free(node);
}

/* Joins node with the one before it where they are alike; returns the one that stays. */
static struct node *
join_before(struct vmt_space *space, struct node *node)
{
	struct node *before = RB_PREV(tree, &space->tree, node);

	if (!before || !alike(before, node))
		return node;
	assert(before->extent.end == node->extent.start);
	node->extent.start = before->extent.start;
	drop(space, before);
	return node;
}

static void
join_around(struct vmt_space *space, struct node *node)
{
	struct node *after;

	node = join_before(space, node);
	after = RB_NEXT(tree, &space->tree, node);
	if (after)
		join_before(space, after);
}

static struct node *
insert(struct vmt_space *space, const struct vmt_extent *extent)
{
	struct node *node = malloc(sizeof(*node));
	struct node *clash;

	if (!node)
		return NULL;
	node->extent = *extent;
	clash = RB_INSERT(tree, &space->tree, node);
	assert(!clash);
	(void)clash;
	space->count++;
	return node;
}

int
vmt_space_put(struct vmt_space *space, const struct vmt_extent *extent)
{
	const struct node *after = first_after(space, extent->start);
	struct node *node;

	assert(extent->start < extent->end);
	assert(!after || after->extent.start >= extent->end);
	(void)after;
	node = insert(space, extent);
	if (!node)
		return -ENOMEM;
	join_around(space, node);
	return 0;
}

/* Makes address a boundary: an extent that lies across it becomes two. */
static int
split_at(struct vmt_space *space, uint64_t address)
{
	struct node *node = first_after(space, address);
	struct vmt_extent low;
	uint64_t start;

	if (!node || node->extent.start >= address)
		return 0;
	assert(address < node->extent.end);
	low = node->extent;
	start = low.start;
	low.end = address;
	node->extent.start = address;
	if (insert(space, &low))
		return 0;
	node->extent.start = start;
	return -ENOMEM;
}

static int
split_around(struct vmt_space *space, uint64_t start, uint64_t end)
{
	int status = split_at(space, start);

	return status ? status : split_at(space, end);
}

int
vmt_space_look(const struct vmt_space *space, uint64_t start, uint64_t end,
	       struct vmt_extents *found)
{
	struct node *node;

	for (node = first_after(space, start); node && node->extent.start < end;
	     node = RB_NEXT(tree, &space->tree, node)) {
		struct vmt_extent *item;

		if (vmt_extents_reserve(found, 1))
			return -ENOMEM;
		assert(node->extent.end > start);
		item = &found->items[found->count++];
		*item = node->extent;
		if (item->start < start)
			item->start = start;
		if (item->end > end)
			item->end = end;
	}
	return 0;
}

int
vmt_space_remove(struct vmt_space *space, uint64_t start, uint64_t end, struct vmt_extents *removed)
{
	size_t before = removed->count;
	struct node *node;
	struct node *next;
	int status = vmt_space_look(space, start, end, removed);

	if (!status)
		status = split_around(space, start, end);
	if (status) {
		removed->count = before;
		return status;
	}
	for (node = first_after(space, start); node && node->extent.start < end; node = next) {
		assert(node->extent.start >= start && node->extent.end <= end);
		next = RB_NEXT(tree, &space->tree, node);
		drop(space, node);
	}
	return 0;
}

int
vmt_space_protect(struct vmt_space *space, uint64_t start, uint64_t end, uint8_t protection)
{
	struct node *node;
	int status = split_around(space, start, end);

	if (status)
		return status;
	for (node = first_after(space, start); node && node->extent.start < end;
	     node = RB_NEXT(tree, &space->tree, node)) {
		assert(node->extent.start >= start && node->extent.end <= end);
		node->extent.protection = protection;
		node = join_before(space, node);
	}
	if (node)
		join_before(space, node);
	return 0;
}

const struct vmt_extent *
vmt_space_next(const struct vmt_space *space, uint64_t address)
{
	const struct node *node = first_after(space, address);

	return node ? &node->extent : NULL;
}

size_t
vmt_space_count(const struct vmt_space *space)
{
	return space->count;
}

bool
vmt_space_check(const struct vmt_space *space)
{
	const struct node *before = NULL;
	struct tree head = space->tree;
	struct node *node;
	size_t count = 0;

	RB_FOREACH(node, tree, &head)
	{
		if (node->extent.start >= node->extent.end)
			return false;
		if (before && before->extent.end > node->extent.start)
			return false;
		if (before && alike(before, node))
			return false;
		before = node;
		count++;
	}
	return count == space->count;
}
