/*
 * touch_groups.h: the pages that have a mark, in groups of neighbours
 *
 * An ordered tree, so that a release costs what it finds, however large it is. Pages are numbers
 * (address / page size). Zero it first, then clear. One thread at a time.
 */
#ifndef VMT_TOUCH_GROUPS_H
#define VMT_TOUCH_GROUPS_H

#include <bsd/sys/tree.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_TOUCH_GROUP_PAGES 16u

struct vmt_touch_group {
	RB_ENTRY(vmt_touch_group) links;
	uint64_t number;		       /* of its first page, / VMT_TOUCH_GROUP_PAGES */
	uint32_t marks[VMT_TOUCH_GROUP_PAGES]; /* number of the mark; 0 = no sample */
	uint32_t serials[VMT_TOUCH_GROUP_PAGES];
	uint16_t old;  /* bit by page: the mark was there at the last snapshot ... */
	uint16_t gone; /* ... and the page no more at a later one */
};

RB_HEAD(vmt_touch_group_tree, vmt_touch_group);

struct vmt_touch_groups {
	struct vmt_touch_group_tree tree;
	struct vmt_touch_group *last; /* made; NULL */
	size_t count;
};

void vmt_touch_groups_clear(struct vmt_touch_groups *groups);

static inline uint64_t
vmt_touch_groups_page(const struct vmt_touch_group *group)
{
	return group->number * VMT_TOUCH_GROUP_PAGES;
}

/* The group of a page; NULL: there is none. */
struct vmt_touch_group *vmt_touch_groups_find(const struct vmt_touch_groups *groups, uint64_t page);

/* ... made where it is not there; NULL: no memory. */
struct vmt_touch_group *vmt_touch_groups_make(struct vmt_touch_groups *groups, uint64_t page);

/* The first group that ends behind a page, its neighbours, and the last one; NULL: there is none.
 */
struct vmt_touch_group *vmt_touch_groups_from(const struct vmt_touch_groups *groups, uint64_t page);
struct vmt_touch_group *vmt_touch_groups_next(struct vmt_touch_group *group);
struct vmt_touch_group *vmt_touch_groups_before(struct vmt_touch_group *group);
struct vmt_touch_group *vmt_touch_groups_last(const struct vmt_touch_groups *groups);

/* Frees a group that has no mark any more. */
void vmt_touch_groups_drop_empty(struct vmt_touch_groups *groups, struct vmt_touch_group *group);

#endif
