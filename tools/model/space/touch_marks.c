#include "tools/model/space/touch_marks.h"

#include "tools/hash_seed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

void
vmt_touch_marks_clear(struct vmt_touch_marks *marks)
{
	free(marks->items);
	free(marks->index);
	*marks = (struct vmt_touch_marks){0};
}

static bool
is_same(const struct vmt_touch_mark *left, const struct vmt_touch_mark *right)
{
	return left->toucher == right->toucher && left->period == right->period &&
	       left->page_shift == right->page_shift && left->forks == right->forks;
}

/* The place of a mark in the index, or the empty one where it belongs. */
static uint32_t *
slot_of(const struct vmt_touch_marks *marks, const struct vmt_touch_mark *mark)
{
	uint64_t word = mark->period << 32 ^ mark->toucher ^ (uint64_t)mark->page_shift << 48 ^
			(uint64_t)mark->forks << 56;
	uint32_t mask = marks->room * 2 - 1;
	uint32_t at = (uint32_t)vmt_hash_word(word) & mask;

	while (marks->index[at] != 0 && !is_same(&marks->items[marks->index[at] - 1], mark))
		at = (at + 1) & mask;
	return &marks->index[at];
}

static int
grow(struct vmt_touch_marks *marks)
{
	uint32_t room = marks->room ? marks->room * 2 : 64;
	struct vmt_touch_mark *items;
	uint32_t *index;

	if (marks->count < marks->room)
		return 0;
	if (room > UINT32_MAX / 4)
		return -ENOMEM;
	items = reallocarray(marks->items, room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	marks->items = items;
	index = calloc((size_t)room * 2, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(marks->index);
	marks->index = index;
	marks->room = room;
	for (uint32_t i = 0; i < marks->count; i++)
		*slot_of(marks, &items[i]) = i + 1;
	return 0;
}

int
vmt_touch_marks_find(struct vmt_touch_marks *marks, const struct vmt_touch_mark *mark,
		     uint32_t *number)
{
	uint32_t *slot;

	*number = marks->last;
	if (*number && is_same(&marks->items[*number - 1], mark))
		return 0;
	if (grow(marks))
		return -ENOMEM;
	slot = slot_of(marks, mark);
	if (*slot == 0) {
		marks->items[marks->count++] = *mark;
		*slot = marks->count;
	}
	*number = marks->last = *slot;
	return 0;
}
