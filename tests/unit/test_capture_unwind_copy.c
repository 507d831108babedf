/* A copy of a stack, walked by reading the copy alone, shows the frames of the stack itself. */
#include "capture/stacks/cfi.h"
#include "capture/stacks/own_stack.h"
#include "tests/unit/captured_stacks.h"
#include "unwind/unwind_step.h"

#include <string.h>

#define COPY_BYTES (256u << 10)

/* Where the first frame of the main thread lies. */
extern void *__libc_stack_end;

static unsigned char copy[COPY_BYTES];
static uint64_t copied_from;
static uint64_t copied_bytes;
static uint64_t reads;

/* The copy stands for memory that can't be read in its own place. */
static bool
load_copied(struct vmt_unwind_registers *walk, uint64_t address, uint64_t *value)
{
	(void)walk;
	if (address < copied_from || address - copied_from + sizeof(*value) > copied_bytes)
		return false;
	memcpy(value, copy + (address - copied_from), sizeof(*value));
	reads++;
	return true;
}

static uint32_t
rule_of(struct vmt_unwind_registers *walk, uint64_t address)
{
	(void)walk;
	return vmt_cfi_find(address);
}

static bool
is_never(uint64_t pc)
{
	(void)pc;
	return false;
}

static bool
step_never(struct vmt_unwind_registers *walk)
{
	(void)walk;
	return false;
}

static struct vmt_stack_bounds
no_bounds(uint64_t sp)
{
	(void)sp;
	return (struct vmt_stack_bounds){.bytes = 0};
}

static const struct vmt_unwind_source copied = {.load = load_copied,
						.rule = rule_of,
						.is_foreign = is_never,
						.step_foreign = step_never,
						.bounds = no_bounds};

static uint64_t expected[LIMIT];
static uint64_t found[LIMIT];
static uint32_t expected_count;
static struct vmt_unwind_registers start;

NOINLINE static void
copy_stack(void)
{
	const uint64_t *words = __builtin_frame_address(0);

	expected_count = vmt_capture_walk(words, expected, LIMIT);
	start = (struct vmt_unwind_registers){
	    .rbp = words[0], .pc = words[1], .sp = (uint64_t)(words + 2)};
	copied_from = start.sp;
	copied_bytes = (uint64_t)__libc_stack_end - start.sp;
	assert_true(copied_bytes <= COPY_BYTES);
	memcpy(copy, words + 2, copied_bytes);
}

NOINLINE static void
nest(unsigned depth)
{
	volatile char room[200];

	memset((char *)(uintptr_t)room, (int)depth, sizeof(room));
	if (depth > 0)
		nest(depth - 1);
	else
		copy_stack();
	sink += (unsigned)room[depth];
}

static uint32_t
walk_copy(uint32_t limit)
{
	struct vmt_unwind_registers walk = start;
	uint32_t count = 0;

	while (count < limit) {
		found[count++] = walk.pc;
		if (!vmt_unwind_step(&copied, &walk))
			break;
	}
	return count;
}

/* By now the frames have gone: what lies in their place is other calls'. */
static void
a_copy_shows_the_frames_of_the_stack(void **state)
{
	uint32_t count;

	(void)state;
	nest(12);
	reads = 0;
	count = walk_copy(expected_count);
	assert_true(expected_count > 13);
	assert_int_equal(count, expected_count);
	assert_memory_equal(found, expected, count * sizeof(found[0]));
	assert_true(reads >= count - 1);
}

/* Where the copy ends the walk ends, with the frames until there. */
static void
a_copy_that_is_cut_shows_the_frames_within(void **state)
{
	uint32_t count;

	(void)state;
	nest(12);
	copied_bytes = 0;
	count = walk_copy(expected_count);
	assert_int_equal(count, 1);
	assert_int_equal(found[0], expected[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_copy_shows_the_frames_of_the_stack),
	    cmocka_unit_test(a_copy_that_is_cut_shows_the_frames_within),
	};

	return cmocka_run_group_tests(tests, captured_stacks_set_up, NULL);
}
