#include "tools/read/trace/touch_stacks.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kept {
	uint64_t first; /* frame, in the pool */
	uint64_t hash;
	uint32_t frames;
	uint8_t end;
};

struct vmt_touch_stacks {
	uint64_t *pool;
	uint64_t pool_used;
	uint64_t pool_room;
	struct kept *kept; /* by id - 1 */
	uint32_t kept_count;
	uint32_t kept_room;
	uint32_t *index; /* open addressing: ids, 0 = empty; twice kept_room */
	uint32_t *ids;	 /* by reference */
	uint32_t id_count;
	uint32_t id_room;
};

struct vmt_touch_stacks *
vmt_touch_stacks_new(void)
{
	return calloc(1, sizeof(struct vmt_touch_stacks));
}

void
vmt_touch_stacks_free(struct vmt_touch_stacks *stacks)
{
	if (stacks == NULL)
		return;
	free(stacks->pool);
	free(stacks->kept);
	free(stacks->index);
	free(stacks->ids);
	free(stacks);
}

uint32_t
vmt_touch_stacks_next(const struct vmt_touch_stacks *stacks)
{
	return stacks->id_count;
}

static uint64_t
hash_of(const struct vmt_touch_stack *stack)
{
	uint64_t hash = stack->count ^ (uint64_t)stack->end << 32;

	for (uint32_t i = 0; i < stack->count; i++) {
		hash = (hash ^ stack->frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return hash;
}

static bool
is_same(const struct vmt_touch_stacks *stacks, const struct kept *kept,
	const struct vmt_touch_stack *stack, uint64_t hash)
{
	return kept->hash == hash && kept->frames == stack->count && kept->end == stack->end &&
	       memcmp(stacks->pool + kept->first, stack->frames,
		      stack->count * sizeof(stack->frames[0])) == 0;
}

static void
put_in_index(struct vmt_touch_stacks *stacks, uint32_t id)
{
	uint32_t mask = stacks->kept_room * 2 - 1;
	uint32_t at = (uint32_t)stacks->kept[id - 1].hash & mask;

	while (stacks->index[at] != 0)
		at = (at + 1) & mask;
	stacks->index[at] = id;
}

/* 0 where the stack is a new one. */
static uint32_t
find(const struct vmt_touch_stacks *stacks, const struct vmt_touch_stack *stack, uint64_t hash)
{
	uint32_t mask = stacks->kept_room * 2 - 1;
	uint32_t at = (uint32_t)hash & mask;

	if (stacks->kept_room == 0)
		return 0;
	for (; stacks->index[at] != 0; at = (at + 1) & mask)
		if (is_same(stacks, &stacks->kept[stacks->index[at] - 1], stack, hash))
			return stacks->index[at];
	return 0;
}

static int
grow_kept(struct vmt_touch_stacks *stacks)
{
	uint32_t room = stacks->kept_room != 0 ? stacks->kept_room * 2 : 64;
	struct kept *kept;
	uint32_t *index;

	if (stacks->kept_count < stacks->kept_room)
		return 0;
	if (room > UINT32_MAX / 4)
		return -ENOMEM;
	kept = reallocarray(stacks->kept, room, sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	stacks->kept = kept;
	index = calloc((size_t)room * 2, sizeof(*index));
	if (index == NULL)
		return -ENOMEM;
	free(stacks->index);
	stacks->index = index;
	stacks->kept_room = room;
	for (uint32_t id = 1; id <= stacks->kept_count; id++)
		put_in_index(stacks, id);
	return 0;
}

static int
grow_pool(struct vmt_touch_stacks *stacks, uint32_t more)
{
	uint64_t room = stacks->pool_room != 0 ? stacks->pool_room : 1024;
	uint64_t *pool;

	while (room - stacks->pool_used < more)
		room *= 2;
	if (stacks->pool != NULL && room == stacks->pool_room)
		return 0;
	pool = reallocarray(stacks->pool, room, sizeof(*pool));
	if (pool == NULL)
		return -ENOMEM;
	stacks->pool = pool;
	stacks->pool_room = room;
	return 0;
}

static int
keep(struct vmt_touch_stacks *stacks, const struct vmt_touch_stack *stack, uint64_t hash)
{
	if (grow_kept(stacks) != 0 || grow_pool(stacks, stack->count) != 0)
		return -ENOMEM;
	stacks->kept[stacks->kept_count++] = (struct kept){
	    .first = stacks->pool_used, .hash = hash, .frames = stack->count, .end = stack->end};
	memcpy(stacks->pool + stacks->pool_used, stack->frames,
	       stack->count * sizeof(stack->frames[0]));
	stacks->pool_used += stack->count;
	put_in_index(stacks, stacks->kept_count);
	return 0;
}

static int
add_reference(struct vmt_touch_stacks *stacks, uint32_t id)
{
	uint32_t room = stacks->id_room != 0 ? stacks->id_room * 2 : 256;
	uint32_t *ids;

	if (stacks->id_count == stacks->id_room) {
		if (room > UINT32_MAX / 2)
			return -ENOMEM;
		ids = reallocarray(stacks->ids, room, sizeof(*ids));
		if (ids == NULL)
			return -ENOMEM;
		stacks->ids = ids;
		stacks->id_room = room;
	}
	stacks->ids[stacks->id_count++] = id;
	return 0;
}

int
vmt_touch_stacks_add(struct vmt_touch_stacks *stacks, const struct vmt_touch_stack *stack)
{
	struct vmt_touch_stack behind = *stack;
	uint64_t hash;
	uint32_t id;

	if (stack->count == 0)
		return add_reference(stacks, 0);
	behind.frames[0]++;
	hash = hash_of(&behind);
	id = find(stacks, &behind, hash);
	if (id == 0) {
		if (keep(stacks, &behind, hash) != 0)
			return -ENOMEM;
		id = stacks->kept_count;
	}
	return add_reference(stacks, id);
}

uint32_t
vmt_touch_stacks_id(const struct vmt_touch_stacks *stacks, uint32_t reference)
{
	return reference < stacks->id_count ? stacks->ids[reference] : 0;
}

const uint64_t *
vmt_touch_stacks_get(const struct vmt_touch_stacks *stacks, uint32_t id, uint32_t *frames)
{
	*frames = 0;
	if (id == 0 || id > stacks->kept_count)
		return NULL;
	*frames = stacks->kept[id - 1].frames;
	return stacks->pool + stacks->kept[id - 1].first;
}

uint8_t
vmt_touch_stacks_end(const struct vmt_touch_stacks *stacks, uint32_t id)
{
	if (id == 0 || id > stacks->kept_count)
		return VMT_TOUCH_STACK_UNKNOWN;
	return stacks->kept[id - 1].end;
}

const char *
vmt_touch_stacks_end_name(uint8_t end)
{
	static const char *const names[] = {
	    [VMT_TOUCH_STACK_COMPLETE] = "complete", [VMT_TOUCH_STACK_CUT] = "cut",
	    [VMT_TOUCH_STACK_NO_RULES] = "no rules", [VMT_TOUCH_STACK_DEEP] = "deep",
	    [VMT_TOUCH_STACK_UNKNOWN] = "unknown",
	};

	return names[end <= VMT_TOUCH_STACK_UNKNOWN ? end : VMT_TOUCH_STACK_UNKNOWN];
}
