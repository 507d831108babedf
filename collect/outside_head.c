#include "collect/outside_head.h"

#include "base/assert.h"
#include "base/sys.h"
#include "base/ticks.h"
#include "format/module_table.h"
#include "format/stack_table.h"

#define STACK_WORDS 512u

void
vmt_outside_head_lay_out(struct vmt_head *head, uint32_t map_slots, uint64_t modules_bytes)
{
	head->malloc_mode = VMT_MALLOC_OFF;
	head->stack_mode = VMT_STACKS_NONE;
	head->shards = 1;
	head->heap_capacity = VMT_RING_MIN_CAPACITY;
	head->map_capacity = map_slots;
	head->stack_index_entries = VMT_STACK_MIN_ENTRIES;
	head->stack_words = STACK_WORDS;
	head->stack_words_used = 1;
	head->modules_bytes = modules_bytes;
	head->modules_used = VMT_MODULE_FIRST_ID;
	vmt_head_lay_out(head);
	vmt_assert(vmt_head_check(head) == NULL);
}

uint64_t
vmt_outside_head_random_id(void)
{
	uint64_t number = 0;

	if (vmt_sys_call3(SYS_getrandom, &number, sizeof(number), 1 /* GRND_NONBLOCK */) !=
	    sizeof(number))
		number = vmt_ticks_monotonic_ns() * UINT64_C(0x9e3779b97f4a7c15);
	return number ? number : 1;
}
