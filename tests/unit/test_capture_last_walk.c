/*
 * Walks that go by the last one, frame for frame against full ones, while the stack changes in
 * every way in which it may: each capture() asserts it (captured_stacks.h).
 * Over 500 lines: every way in which a stack may change between two walks.
 */
#include "capture/core/config.h"
#include "capture/stacks/cfi.h"
#include "tests/unit/captured_stacks.h"

#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#define TREES 400u
#define COROUTINE_BYTES (256u << 10)

static uint64_t random_state = 88172645463325252u;

static unsigned
random_below(unsigned bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 20) % bound);
}

static unsigned budget; /* calls left in this tree */
static ucontext_t starter;
static ucontext_t coroutine;
static bool has_coroutine;
static bool in_coroutine;

static void call_something(unsigned depth);

/* A stand-in hook that compares nothing but the two walks: cheap enough to be called often. */
NOINLINE static void
compare_here(void)
{
	assert_remembered(__builtin_frame_address(0), VMT_LAST_WALK_FRESH);
	sink++;
}

NOINLINE static void
framed(unsigned depth)
{
	call_something(depth);
	sink++;
	call_something(depth); /* the same callees from another line */
	sink++;
}

NO_FRAME_POINTER static void
bare(unsigned depth)
{
	call_something(depth);
	sink++;
	compare_here();
	sink++;
}

/* rbp may hold a number that changes between calls, which frames further out do not care for. */
NO_FRAME_POINTER static unsigned
busy(unsigned depth, unsigned a, unsigned b, unsigned c, unsigned d)
{
	for (unsigned i = 0; i < 3; i++) {
		a = a * 31 + i;
		b ^= a + c;
		c += b * d;
		d += a ^ c;
		call_something(depth + i);
	}
	return a + b + c + d;
}

NO_FRAME_POINTER static void
growing(unsigned depth)
{
	volatile char *memory = alloca(16 + random_below(3) * 512);

	memory[0] = 1;
	call_something(depth);
	sink += (unsigned)memory[0];
}

NO_FRAME_POINTER static void
aligned(unsigned depth)
{
	_Alignas(64) volatile char buffer[128];
	volatile char *memory = alloca(16);

	buffer[0] = memory[0] = 1;
	call_something(depth);
	sink += (unsigned)(buffer[0] + memory[0]) + ((uintptr_t)buffer & 63);
}

#if !defined(__clang__)
__attribute__((noinline, noclone, optimize("omit-frame-pointer,optimize-sibling-calls")))
#else
NOINLINE
#endif
static void
tail(unsigned depth)
{
	sink++;
	call_something(depth);
}

NOINLINE static void
jumping(unsigned depth)
{
	jmp_buf here;

	if (setjmp(here) == 0) {
		call_something(depth);
		longjmp(here, 1);
	}
	compare_here();
	sink++;
}

NOINLINE static void
interrupted(unsigned depth)
{
	call_something(depth);
	raise(SIGUSR1);
	sink++;
}

/* To the coroutine or back, in the middle of whatever runs here. */
NOINLINE static void
switching(void)
{
	ucontext_t *from = in_coroutine ? &coroutine : &starter;
	ucontext_t *to = in_coroutine ? &starter : &coroutine;

	if (!has_coroutine)
		return;
	in_coroutine = !in_coroutine;
	assert_int_equal(swapcontext(from, to), 0);
	compare_here();
	sink++;
}

static void
call_something(unsigned depth)
{
	if (budget == 0 || depth > 70) {
		compare_here();
		return;
	}
	budget--;
	switch (random_below(11)) {
	case 0:
		framed(depth + 1);
		break;
	case 1:
		bare(depth + 1);
		break;
	case 2:
		sink += busy(depth + 1, 1, 2, 3, sink);
		break;
	case 3:
		growing(depth + 1);
		break;
	case 4:
		aligned(depth + 1);
		break;
	case 5:
		tail(depth + 1);
		break;
	case 6:
		jumping(depth + 1);
		break;
	case 7:
		interrupted(depth + 1);
		break;
	case 8:
		switching();
		break;
	default:
		compare_here();
	}
	sink++;
}

static void
run_trees(unsigned trees)
{
	for (unsigned i = 0; i < trees; i++) {
		budget = 1 + random_below(60);
		call_something(0);
	}
}

static void
test_random_trees(void **state)
{
	(void)state;
	run_trees(TREES);
}

static void
on_signal(int number)
{
	(void)number;
	compare_here();
}

static void
handle(int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	sigemptyset(&action.sa_mask);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void
test_handlers_on_alternate_stack(void **state)
{
	stack_t stack = {.ss_sp = make_stack(65536), .ss_size = 65536};
	stack_t none = {.ss_flags = SS_DISABLE};

	(void)state;
	assert_int_equal(sigaltstack(&stack, NULL), 0);
	handle(SA_ONSTACK);
	run_trees(TREES);
	handle(0);
	assert_int_equal(sigaltstack(&none, NULL), 0);
	drop_stack(stack.ss_sp, stack.ss_size);
}

static void
coroutine_body(void)
{
	for (;; switching())
		run_trees(1);
}

static void
run_beside_coroutine(char *memory, size_t bytes)
{
	assert_int_equal(getcontext(&coroutine), 0);
	coroutine.uc_stack.ss_sp = memory;
	coroutine.uc_stack.ss_size = bytes;
	makecontext(&coroutine, coroutine_body, 0);
	has_coroutine = true;
	run_trees(TREES);
	has_coroutine = false;
	assert_false(in_coroutine);
}

/* One on a stack of its own, one on a piece of this thread's stack, whose end both have. */
static void
test_coroutines(void **state)
{
	char *memory = make_stack(COROUTINE_BYTES);
	char inside[COROUTINE_BYTES];

	(void)state;
	run_beside_coroutine(memory, COROUTINE_BYTES);
	run_beside_coroutine(inside, COROUTINE_BYTES);
	drop_stack(memory, COROUTINE_BYTES);
}

NOINLINE static void
framed_leaf(void)
{
	compare_here();
	sink++;
}

NO_FRAME_POINTER static void
bare_leaf(void)
{
	compare_here();
	sink++;
}

NO_FRAME_POINTER static void
growing_middle(unsigned bytes, void (*leaf)(void))
{
	volatile char *memory = alloca(bytes);

	memory[0] = 1;
	leaf();
	sink += (unsigned)memory[0];
}

NO_FRAME_POINTER static void
aligned_middle(unsigned bytes, void (*leaf)(void))
{
	_Alignas(64) volatile char buffer[128];
	volatile char *memory = alloca(512); /* alignment takes up what the caller has less */

	buffer[0] = memory[0] = (char)bytes;
	leaf();
	sink += (unsigned)(buffer[0] + memory[0]) + ((uintptr_t)buffer & 63);
}

struct middle {
	void (*call)(unsigned bytes, void (*leaf)(void));
};

NO_FRAME_POINTER static void
shifting(unsigned bytes, unsigned line, struct middle middle, void (*leaf)(void))
{
	volatile char *memory = alloca(bytes);

	memory[0] = 1;
	if (line == 0) {
		middle.call(1024 - bytes, leaf);
		sink++;
	} else {
		middle.call(1024 - bytes, leaf);
		sink += 2;
	}
	sink += (unsigned)memory[0];
}

/* The innermost frames and the outermost are the same, and where the frames between lay before
 * their words still stand; but they lie elsewhere. Only rbp, in place or saved, or a saved CFA
 * tells. */
static void
test_shifted_middle(void **state)
{
	static const struct middle middles[] = {{growing_middle}, {aligned_middle}};
	static void (*const leaves[])(void) = {framed_leaf, bare_leaf};

	(void)state;
	for (unsigned round = 0; round < 2 * 2 * 64; round++) {
		struct middle middle = middles[round & 1];
		void (*leaf)(void) = leaves[round >> 1 & 1];
		unsigned first = 16 * (round >> 2 & 7);
		unsigned second = 16 * (round >> 5 & 7);

		for (volatile unsigned line = 0; line < 2; line++)
			shifting(256 + (line ? second : first), line, middle, leaf);
	}
}

static void *
thread_body(void *unused)
{
	vmt_thread_mine()->depth = 1; /* as inside a hook */
	remember_from_here();
	run_trees(TREES / 4);
	return unused;
}

static void
test_thread(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, thread_body, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
test_frame_pointers(void **state)
{
	(void)state;
	assert_true(vmt_capture_choose(VMT_CAPTURE_WALK_FP));
	run_trees(TREES);
	assert_true(vmt_capture_choose(VMT_CAPTURE_WALK_CFI));
}

NOINLINE static void
recurse(unsigned depth)
{
	if (depth > 0)
		recurse(depth - 1);
	compare_here();
	sink++;
}

/* Deeper than what is kept, and out again frame by frame. */
static void
test_deep_recursion(void **state)
{
	(void)state;
	recurse(300);
}

static uint32_t ids[2];

NOINLINE static void
capture_twice(void)
{
	for (int i = 0; i < 2; sink++)
		ids[i++] = VMT_STACK();
}

NOINLINE static void
below(unsigned depth)
{
	if (depth > 0)
		below(depth - 1);
	else
		capture_twice();
	sink++;
}

/* Ids by way of a remembered walk are those of the whole stacks, cut ones included. */
static void
test_ids(void **state)
{
	static const unsigned depths[] = {3, 3, 10, 60, 61, 20, 0, 40, 60};
	uint64_t stored[VMT_STACK_MAX_FRAMES];
	uint32_t count;

	(void)state;
	for (unsigned i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		below(depths[i]);
		assert_int_not_equal(ids[0], 0);
		count = vmt_stack_table_read(vmt_recording.stacks.words,
					     *vmt_recording.stacks.words_used, ids[1], stored);
		assert_true(count != 0 && count <= vmt_config.stack_depth);
		assert_int_equal(vmt_stack_table_intern(&vmt_recording.stacks, stored, count),
				 ids[1]);
	}
}

/* New rules: what was found by the old ones is not believed. */
static void
test_forgotten(void **state)
{
	struct vmt_last_walk *last;

	(void)state;
	compare_here();
	last = vmt_last_walk_mine();
	assert_non_null(last);
	assert_true(last->top < VMT_LAST_WALK_FRAMES);
	vmt_cfi_forget();
	assert_int_equal(
	    vmt_last_walk_intact(last, (uint64_t)__builtin_frame_address(0), last->end),
	    VMT_LAST_WALK_FRAMES);
	assert_int_equal(last->top, VMT_LAST_WALK_FRAMES);
	compare_here();
}

static void *
take_part(void *result)
{
	vmt_thread_mine()->depth = 1; /* as inside a hook */
	remember_from_here();
	*(struct vmt_last_walk **)result = vmt_last_walk_mine();
	return NULL;
}

/* Threads come and go without a word: their parts are found again. */
static void
test_parts_of_the_dead(void **state)
{
	unsigned got = 0;

	(void)state;
	vmt_guard_owner->pid = (uint32_t)getpid();
	for (unsigned i = 0; i < 2 * VMT_LAST_WALK_POOL; i++) {
		struct vmt_last_walk *part = NULL;
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, take_part, &part), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		got += part != NULL;
		assert_ptr_not_equal(part, vmt_last_walk_mine());
	}
	assert_in_range(got, VMT_LAST_WALK_POOL * 3 / 2, 2 * VMT_LAST_WALK_POOL);
}

static int
set_up(void **state)
{
	int failed = captured_stacks_set_up(state);

	handle(0);
	return failed;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_trees),
	    cmocka_unit_test(test_handlers_on_alternate_stack),
	    cmocka_unit_test(test_coroutines),
	    cmocka_unit_test(test_shifted_middle),
	    cmocka_unit_test(test_thread),
	    cmocka_unit_test(test_frame_pointers),
	    cmocka_unit_test(test_deep_recursion),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_forgotten),
	    cmocka_unit_test(test_parts_of_the_dead),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
