#include "tools/read/trace/touch_stacks.h"

#include "base/assert.h"
#include "tools/hash_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One stack: its key is how it ends, then its frames. */
struct kept {
	UT_hash_handle hh;
	uint32_t id;
	uint32_t frames;
	uint64_t words[]; /* end, frames */
};

struct vmt_touch_stacks {
	struct kept *table;
	struct kept **kept; /* by id - 1 */
	uint32_t kept_room;
	uint32_t *ids; /* by reference */
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
	VMT_HASH_TABLE_FREE(struct kept, stacks->table, free);
	free(stacks->kept);
	free(stacks->ids);
	free(stacks);
}

uint32_t
vmt_touch_stacks_next(const struct vmt_touch_stacks *stacks)
{
	return stacks->id_count;
}

static int
grow_kept(struct vmt_touch_stacks *stacks)
{
	uint32_t room = stacks->kept_room != 0 ? stacks->kept_room * 2 : 64;
	struct kept **kept;

	if (HASH_COUNT(stacks->table) < stacks->kept_room)
		return 0;
	if (room > UINT32_MAX / 4)
		return -ENOMEM;
	kept = reallocarray(stacks->kept, room, sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	stacks->kept = kept;
	stacks->kept_room = room;
	return 0;
}

/* The id of a stack; 0 where there is no memory. */
static uint32_t
intern(struct vmt_touch_stacks *stacks, const uint64_t *words, uint32_t frames)
{
	size_t bytes = (frames + (size_t)1) * sizeof(*words);
	struct kept *kept;

	HASH_FIND(hh, stacks->table, words, bytes, kept);
	if (kept != NULL)
		return kept->id;
	if (grow_kept(stacks) != 0)
		return 0;
	kept = malloc(sizeof(*kept) + bytes);
	if (kept == NULL)
		return 0;
	kept->id = HASH_COUNT(stacks->table) + 1;
	kept->frames = frames;
	memcpy(kept->words, words, bytes);
	HASH_ADD_KEYPTR(hh, stacks->table, kept->words, bytes, kept);
	if (kept->hh.tbl == NULL) {
		free(kept);
		return 0;
	}
	return (stacks->kept[kept->id - 1] = kept)->id;
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
	uint64_t words[1 + sizeof(stack->frames) / sizeof(stack->frames[0])] = {stack->end};
	uint32_t id;

	vmt_assert(stack->count < sizeof(words) / sizeof(words[0]));
	if (stack->count == 0)
		return add_reference(stacks, 0);
	memcpy(words + 1, stack->frames, stack->count * sizeof(stack->frames[0]));
	words[1]++;
	id = intern(stacks, words, stack->count);
	return id != 0 ? add_reference(stacks, id) : -ENOMEM;
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
	if (id == 0 || id > HASH_COUNT(stacks->table))
		return NULL;
	*frames = stacks->kept[id - 1]->frames;
	return stacks->kept[id - 1]->words + 1;
}

uint8_t
vmt_touch_stacks_end(const struct vmt_touch_stacks *stacks, uint32_t id)
{
	if (id == 0 || id > HASH_COUNT(stacks->table))
		return VMT_TOUCH_STACK_UNKNOWN;
	return (uint8_t)stacks->kept[id - 1]->words[0];
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
