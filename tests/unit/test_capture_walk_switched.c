/* Stacks that are not the thread's own, or not the first thread's: handlers, coroutines, threads.
 */
#include "capture/stacks/stack_bounds.h"
#include "tests/unit/captured_stacks.h"

#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

static void
on_signal(int number)
{
	(void)number;
	bare_small(1);
}

static void
set_handler(int number, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	sigemptyset(&action.sa_mask);
	assert_int_equal(sigaction(number, &action, NULL), 0);
}

/* Struck in the middle of a function without a frame pointer, a call's return address away from
 * nothing: the interrupted address is exact. */
NO_FRAME_POINTER static void
be_struck(unsigned depth)
{
	volatile char buffer[500];

	buffer[depth] = 1;
	if (depth == 0)
		__asm__ volatile("int3");
	else
		be_struck(depth - 1);
	sink += (unsigned)buffer[depth];
}

static void
test_signal_same_stack(void **state)
{
	(void)state;
	set_handler(SIGTRAP, on_signal, 0);
	be_struck(3);
	assert_same_stacks(9, 2);
	set_handler(SIGTRAP, SIG_DFL, 0);
}

static void
test_signal_alternate_stack(void **state)
{
	stack_t stack = {.ss_sp = make_stack(65536), .ss_size = 65536};
	stack_t none = {.ss_flags = SS_DISABLE};

	(void)state;
	assert_int_equal(sigaltstack(&stack, NULL), 0);
	set_handler(SIGTRAP, on_signal, SA_ONSTACK);
	be_struck(3);
	assert_same_stacks(9, 2);
	set_handler(SIGUSR1, on_signal, SA_ONSTACK);
	raise(SIGUSR1);
	assert_same_stacks(6, 2);
	set_handler(SIGTRAP, SIG_DFL, 0);
	set_handler(SIGUSR1, SIG_DFL, 0);
	assert_int_equal(sigaltstack(&none, NULL), 0);
	drop_stack(stack.ss_sp, stack.ss_size);
}

static sigjmp_buf overflowed;

static void
on_overflow(int number)
{
	on_signal(number);
	siglongjmp(overflowed, 1);
}

NOINLINE static unsigned
overflow(unsigned depth)
{
	volatile char buffer[10000];

	buffer[0] = (char)depth;
	if (depth < UINT32_MAX)
		overflow(depth + 1);
	return (unsigned)buffer[0];
}

static void *
overflow_thread(void *unused)
{
	stack_t stack = {.ss_sp = make_stack(65536), .ss_size = 65536};

	vmt_thread_mine()->depth = 1; /* as inside a hook */
	assert_int_equal(sigaltstack(&stack, NULL), 0);
	if (sigsetjmp(overflowed, 1) == 0)
		overflow(0);
	return unused;
}

/* The interrupted stack pointer lies where nothing can be read. */
static void
test_stack_overflow_handler(void **state)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)state;
	set_handler(SIGSEGV, on_overflow, SA_ONSTACK);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 128 << 10);
	assert_int_equal(pthread_create(&thread, &attributes, overflow_thread, NULL), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
	set_handler(SIGSEGV, SIG_DFL, 0);
	assert_true(captured.our_count >= 6);
	for (uint32_t i = 0; i < captured.our_count && i < captured.their_count; i++)
		assert_true(captured.ours[i] - captured.theirs[i] <= 1);
}

static ucontext_t coroutine;
static ucontext_t starter;

static void
coroutine_body(void)
{
	bare_small(5);
}

/* The stack ends at a page that cannot be read, on either side. */
static void
run_coroutine(void)
{
	char *memory = make_stack(32768);

	assert_int_equal(getcontext(&coroutine), 0);
	coroutine.uc_stack.ss_sp = memory;
	coroutine.uc_stack.ss_size = 32768;
	coroutine.uc_link = &starter;
	makecontext(&coroutine, coroutine_body, 0);
	assert_int_equal(swapcontext(&starter, &coroutine), 0);
	drop_stack(memory, 32768);
}

static void
test_coroutine(void **state)
{
	(void)state;
	run_coroutine();
	assert_same_stacks(7, 0);
}

static void *
thread_body(void *result)
{
	uint64_t top;

	vmt_thread_mine()->depth = 1; /* as inside a hook */
	remember_from_here();
	bare_many(3, 2, 3, 4, 5, 6, 7, 8);
	__asm__("mov %%fs:0, %0" : "=r"(top));
	*(bool *)result = vmt_thread_mine()->stack_high == top &&
			  vmt_thread_mine()->stack_low <= (uint64_t)__builtin_frame_address(0);
	bare_large(200);
	return NULL;
}

static void
run_thread(const pthread_attr_t *attributes)
{
	bool learnt = false;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, attributes, thread_body, &learnt), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(learnt);
	assert_int_equal(captured.our_count, LIMIT);
	assert_same_stacks(LIMIT, 0);
}

static void
test_threads(void **state)
{
	pthread_attr_t attributes;
	char *memory = make_stack(1 << 20);

	(void)state;
	run_thread(NULL);
	pthread_attr_init(&attributes);
	assert_int_equal(pthread_attr_setstack(&attributes, memory, 1 << 20), 0);
	run_thread(&attributes);
	pthread_attr_destroy(&attributes);
	drop_stack(memory, 1 << 20);
}

static void *
coroutine_thread(void *result)
{
	struct captured *mine = result;

	vmt_thread_mine()->depth = 1; /* as inside a hook */
	remember_from_here();
	run_coroutine();
	*mine = captured;
	run_coroutine();
	return NULL;
}

static void
test_coroutine_of_thread(void **state)
{
	struct captured first;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, coroutine_thread, &first), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_same_stacks(7, 0);
	assert_int_equal(first.our_count, captured.our_count);
}

/* Without probes only the present page of an unknown stack is read. */
static void
test_no_syscalls(void **state)
{
	(void)state;
	vmt_guard.no_syscalls = true;
	run_coroutine();
	assert_true(captured.our_count >= 1 && captured.our_count <= captured.their_count);
	nested(12);
	assert_same_stacks(14, 0);
	vmt_guard.no_syscalls = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_signal_same_stack),
	    cmocka_unit_test(test_signal_alternate_stack),
	    cmocka_unit_test(test_stack_overflow_handler),
	    cmocka_unit_test(test_coroutine),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_coroutine_of_thread),
	    cmocka_unit_test(test_no_syscalls),
	};

	return cmocka_run_group_tests(tests, captured_stacks_set_up, NULL);
}
