/* Stacks of Go and of C beneath and above it: the kernel's chain leads from one stack to the next.
 */
#include "collect/touch_unwind.h"

#include "tests/unit/copied_stack.h"

#include <sys/mman.h>

#if defined(__x86_64__)

#define MARKER (UINT64_MAX - 511) /* PERF_CONTEXT_USER */
#define GO_CODE UINT64_C(0x10000000)

/* As runtime.goexit is made. It has no table, either. */
__asm__(".text\n\t.balign 32\nmade_goexit:\n\tnop\n\t.byte 0xe8, 0, 0, 0, 0\n\tnop\n\tret\n");
extern const char made_goexit[];

static uint64_t
goexit_frame(void)
{
	return (uint64_t)(uintptr_t)made_goexit + 1;
}

/* Code of Go, as far as the walks can tell. */
static void
begin_with_go(void)
{
	const struct vmt_mapping mapping = {.start = GO_CODE,
					    .end = GO_CODE + 65536,
					    .protection = PROT_READ | PROT_EXEC,
					    .path = ""};

	begin(getpid());
	vmt_touch_unwind_mapped(&unwind, &mapping);
	vmt_touch_unwind_set_go(&unwind, GO_CODE, GO_CODE + 65536);
}

static void
walk_chain(const uint64_t *chain, uint64_t count)
{
	copied.thread = (struct vmt_touch_thread){
	    .ip = chain[1], .bp = 4096, .chain = chain, .chain_count = count};
	walk(VMT_STACK_MAX_FRAMES);
}

/* The frame pointer that crosscall2 has pushed twice stands where a return address should. */
static void
go_frames_come_from_the_chain(void **state)
{
	const uint64_t chain[] = {MARKER, GO_CODE + 1, GO_CODE + 2,
				  8192,	  GO_CODE + 3, goexit_frame()};
	const uint64_t frames[] = {GO_CODE + 1, GO_CODE + 2, GO_CODE + 3, goexit_frame()};

	(void)state;
	begin_with_go();
	walk_chain(chain, 6);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_COMPLETE);
	assert_int_equal(stack.count, 4);
	assert_memory_equal(stack.frames, frames, sizeof(frames));
	walk(2);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_DEEP);
	assert_int_equal(stack.count, 2);
	end();
}

/* runtime.morestack gives the chain up; the kernel's has no more than so many frames. */
static void
a_chain_without_goexit_is_not_complete(void **state)
{
	uint64_t chain[128] = {MARKER};

	(void)state;
	begin_with_go();
	for (unsigned i = 1; i < 128; i++)
		chain[i] = GO_CODE + i;
	assert_true(unwind.chain_most > 0);
	unwind.chain_most = 127;
	walk_chain(chain, 4);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_UNKNOWN);
	assert_int_equal(stack.count, 3);
	walk_chain(chain, 128);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_DEEP);
	assert_int_equal(stack.count, 127);
	end();
}

/* The frame pointer of C code that has called Go may be anything. */
static void
a_chain_ends_where_frame_pointers_are_not_kept(void **state)
{
	uint64_t chain[] = {MARKER, GO_CODE + 1, 0, GO_CODE + 2};

	(void)state;
	begin_with_go();
	nest_from_here(3, COPY_BYTES);
	chain[2] = copied.expected[3]; /* in nest */
	walk_chain(chain, 4);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_CUT);
	assert_int_equal(stack.count, 2);
	assert_int_equal(stack.frames[1], chain[2]);
	end();
}

static void
what_is_not_code_is_no_frame(void **state)
{
	const uint64_t chain[] = {MARKER, GO_CODE + 1, 8192, 8200, GO_CODE + 3};

	(void)state;
	begin_with_go();
	walk_chain(chain, 5);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_UNKNOWN);
	assert_int_equal(stack.count, 1);
	end();
}

/* C code on a thread's own stack, called from a goroutine: the copy has the C frames alone. */
static void
c_code_that_go_has_called_goes_on_in_the_chain(void **state)
{
	void (*bare)(void (*)(void)) = make_code(false);
	uint64_t chain[] = {MARKER, 0, 0, 0, goexit_frame()};
	const struct vmt_mapping here = {.start = (uint64_t)(uintptr_t)bare & ~UINT64_C(4095),
					 .end = ((uint64_t)(uintptr_t)bare | 4095) + 1,
					 .protection = PROT_EXEC,
					 .path = ""};

	(void)state;
	begin_with_go();
	vmt_touch_unwind_mapped(&unwind, &here);
	bare(take_copy);
	vmt_touch_unwind_set_go(&unwind, here.start, here.end);
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_CUT);
	assert_int_equal(stack.count, 3);
	chain[1] = copied.thread.ip;
	chain[2] = stack.frames[2];
	copied.thread.chain = chain;
	copied.thread.chain_count = 3;
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_CUT);
	assert_int_equal(stack.count, 3);
	chain[3] = here.start + 100;
	copied.thread.chain_count = 5;
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_COMPLETE);
	assert_int_equal(stack.count, 5);
	assert_memory_equal(&stack.frames[3], &chain[3], 2 * sizeof(chain[0]));
	chain[2] = 4096;
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_CUT);
	assert_int_equal(stack.count, 3);
	end();
}

static int
tear_down(void **state)
{
	(void)state;
	forget_rules();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(go_frames_come_from_the_chain),
	    cmocka_unit_test(a_chain_without_goexit_is_not_complete),
	    cmocka_unit_test(a_chain_ends_where_frame_pointers_are_not_kept),
	    cmocka_unit_test(what_is_not_code_is_no_frame),
	    cmocka_unit_test(c_code_that_go_has_called_goes_on_in_the_chain),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}

#else

int
main(void)
{
	return 0;
}

#endif
