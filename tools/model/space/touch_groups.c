#include "tools/model/space/touch_groups.h"

#include <assert.h>
#include <stdlib.h>

static int
compare(const struct vmt_touch_group *left, const struct vmt_touch_group *right)
{
	return (left->number > right->number) - (left->number < right->number);
}

RB_GENERATE_INTERNAL(vmt_touch_group_tree, vmt_touch_group, links, compare,
		     __attribute__((unused)) static)

static void
drop(struct vmt_touch_groups *groups, struct vmt_touch_group *group)
{
	assert(groups->count > 0);
	RB_REMOVE(vmt_touch_group_tree, &groups->tree, group);
	groups->count--;
	if (groups->last == group)
		groups->last = NULL;
	free(group);
}

/* As deep as the tree is high. */
static void
free_below(struct vmt_touch_group *group)
{
	if (!group)
		return;
	free_below(RB_LEFT(group, links));
	free_below(RB_RIGHT(group, links));
	free(group);
}

void
vmt_touch_groups_clear(struct vmt_touch_groups *groups)
{
	free_below(RB_ROOT(&groups->tree));
	*groups = (struct vmt_touch_groups){0};
}

/* The tree's macros take a mutable head although a search changes nothing. */
struct vmt_touch_group *
vmt_touch_groups_from(const struct vmt_touch_groups *groups, uint64_t page)
{
	struct vmt_touch_group key = {.number = page / VMT_TOUCH_GROUP_PAGES};
	struct vmt_touch_group_tree tree = groups->tree;

	return RB_NFIND(vmt_touch_group_tree, &tree, &key);
}

struct vmt_touch_group *
vmt_touch_groups_next(struct vmt_touch_group *group)
{
	return RB_NEXT(vmt_touch_group_tree, NULL, group);
}

struct vmt_touch_group *
vmt_touch_groups_before(struct vmt_touch_group *group)
{
	return RB_PREV(vmt_touch_group_tree, NULL, group);
}

struct vmt_touch_group *
vmt_touch_groups_last(const struct vmt_touch_groups *groups)
{
	struct vmt_touch_group_tree tree = groups->tree;

	return RB_MAX(vmt_touch_group_tree, &tree);
}

struct vmt_touch_group *
vmt_touch_groups_find(const struct vmt_touch_groups *groups, uint64_t page)
{
	struct vmt_touch_group *group = groups->last;
	uint64_t number = page / VMT_TOUCH_GROUP_PAGES;

	if (!group || group->number != number)
		group = vmt_touch_groups_from(groups, page);
	return group && group->number == number ? group : NULL;
}

struct vmt_touch_group *
vmt_touch_groups_make(struct vmt_touch_groups *groups, uint64_t page)
{
	struct vmt_touch_group *group = vmt_touch_groups_find(groups, page);

	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return NULL;
		group->number = page / VMT_TOUCH_GROUP_PAGES;
		RB_INSERT(vmt_touch_group_tree, &groups->tree, group);
		groups->count++;
	}
	groups->last = group;
	return group;
}

void
vmt_touch_groups_drop_empty(struct vmt_touch_groups *groups, struct vmt_touch_group *group)
{
	for (unsigned i = 0; i < VMT_TOUCH_GROUP_PAGES; i++)
		if (group->marks[i])
			return;
	drop(groups, group);
}
