#include "capture/stacks/stack_floors.h"

#include "base/atomic.h"
#include "base/roomy.h"

/* While it is written its end is 0. */
static VMT_ROOMY struct stack {
	uint64_t low;
	uint64_t end;
} stacks[VMT_STACK_FLOORS];

static uint32_t used;			   /* claimed so far, at most VMT_STACK_FLOORS */
static uint64_t guarded[VMT_STACK_FLOORS]; /* control blocks; 0: none */
static uint32_t guarded_told;		   /* mod 2^32 */
static uint32_t unknown;		   /* stacks without a guard page that may lie anywhere */

/* Above a thread's control block: what belongs to it, and static storage on some processors. */
#define ABOVE_TOP_BYTES (UINT64_C(64) << 10)

static void
put(struct stack *stack, uint64_t low, uint64_t end)
{
	vmt_atomic_store_release(&stack->end, 0);
	vmt_atomic_fence();
	vmt_atomic_store_relaxed(&stack->low, low);
	vmt_atomic_store_release(&stack->end, end);
}

/* NULL: none lies there, and there is no room for one more. */
static struct stack *
place_for(uint64_t low, uint64_t end)
{
	uint32_t count = vmt_atomic_load_acquire(&used);

	for (uint32_t i = 0; i < count; i++)
		if (vmt_atomic_load_relaxed(&stacks[i].low) < end &&
		    vmt_atomic_load_relaxed(&stacks[i].end) > low)
			return &stacks[i];
	while (count < VMT_STACK_FLOORS)
		if (vmt_atomic_cas(&used, &count, count + 1))
			return &stacks[count];
	return NULL;
}

/* Those between them are no more. */
static void
drop_guarded(uint64_t low, uint64_t end)
{
	for (uint32_t i = 0; i < VMT_STACK_FLOORS; i++) {
		uint64_t top = vmt_atomic_load_relaxed(&guarded[i]);

		if (top >= low && top < end)
			vmt_atomic_cas(&guarded[i], &top, 0);
	}
}

/* False: there is no room. */
static bool
add(uint64_t low, uint64_t end)
{
	struct stack *stack = place_for(low, end);

	drop_guarded(low, end);
	if (stack)
		put(stack, low, end);
	return stack != NULL;
}

void
vmt_stack_floors_add(uint64_t low, uint64_t bytes)
{
	uint64_t end;

	if (__builtin_add_overflow(low, bytes, &end))
		return;
	if (bytes == 0 || !add(low, end))
		vmt_stack_floors_expect();
}

void
vmt_stack_floors_expect(void)
{
	vmt_atomic_add_relaxed(&unknown, 1);
	vmt_atomic_fence();
}

void
vmt_stack_floors_expect_no_more(void)
{
	vmt_atomic_fence();
	vmt_atomic_add_relaxed(&unknown, UINT32_MAX);
}

void
vmt_stack_floors_tell(uint64_t top, uint64_t bytes)
{
	if (bytes > ABOVE_TOP_BYTES && top > bytes && top < UINT64_MAX &&
	    add(top - bytes + ABOVE_TOP_BYTES, top + 1))
		vmt_stack_floors_expect_no_more();
}

void
vmt_stack_floors_add_guarded(uint64_t top)
{
	uint32_t place = vmt_atomic_add_relaxed(&guarded_told, 1) % VMT_STACK_FLOORS;

	vmt_atomic_store_release(&guarded[place], top);
}

static bool
is_in(const struct stack *stack, uint64_t address, uint64_t *low)
{
	uint64_t end = vmt_atomic_load_acquire(&stack->end);

	*low = vmt_atomic_load_acquire(&stack->low);
	return address >= *low && address < end && vmt_atomic_load_acquire(&stack->end) == end;
}

/* NULL: none is told of. */
static struct stack *
find(uint64_t top, uint64_t *low)
{
	uint32_t count = vmt_atomic_load_acquire(&used);

	for (uint32_t i = 0; i < count; i++)
		if (is_in(&stacks[i], top, low))
			return &stacks[i];
	return NULL;
}

/* All that lies below the top may be another's. */
void
vmt_stack_floors_forget(uint64_t top)
{
	uint64_t low;
	struct stack *stack = find(top, &low);

	if (stack)
		put(stack, top, vmt_atomic_load_relaxed(&stack->end));
	drop_guarded(top, top + 1);
}

bool
vmt_stack_floors_are_known(uint64_t top)
{
	uint64_t low;

	for (uint32_t i = 0; i < VMT_STACK_FLOORS; i++)
		if (vmt_atomic_load_acquire(&guarded[i]) == top)
			return true;
	return find(top, &low) != NULL;
}

uint64_t
vmt_stack_floors_of(uint64_t top)
{
	uint64_t low;

	if (find(top, &low))
		return low;
	return vmt_atomic_load_acquire(&unknown) ? UINT64_MAX : 0;
}
