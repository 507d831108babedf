#include "capture/core/guard.h"
#include "capture/core/threads_inside.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct vmt_owner owner;
static struct vmt_head head;
static bool entered;

static int
set_up(void **state)
{
	(void)state;
	memset(&head, 0, sizeof(head));
	memset(&vmt_recording, 0, sizeof(vmt_recording));
	vmt_guard = (struct vmt_guard){.no_syscalls = false};
	vmt_own_memory = (struct vmt_own_memory){.count = 0};
	memset(vmt_thread_mine(), 0, sizeof(struct vmt_thread));
	vmt_recording.head = &head;
	owner = (struct vmt_owner){.state = VMT_OWNER_RECORDING, .generation = 1};
	vmt_guard_owner = &owner;
	return 0;
}

/* A hook, with whatever happens inside it. */
static bool __attribute__((noinline)) call_hook(void (*inside)(void))
{
	bool recorded = vmt_guard_enter();

	if (inside)
		inside();
	if (recorded)
		vmt_guard_leave();
	return recorded;
}

static void
call_nested(void)
{
	entered = call_hook(NULL);
}

static void
a_nested_call_passes_through(void **state)
{
	(void)state;
	entered = true;
	assert_true(call_hook(call_nested));
	assert_false(entered);
	assert_int_equal(head.nested_calls, 1);
	assert_int_equal(head.hooks_left, 0);
	assert_int_equal(vmt_thread_mine()->depth, 0);
	assert_true(call_hook(NULL));
}

static jmp_buf outside;

static void
jump_out(void)
{
	longjmp(outside, 1);
}

/* From the same frame, where the next hook's own frame is the very same. */
static void
a_hook_that_was_left_by_longjmp_is_forgotten(void **state)
{
	(void)state;
	for (volatile int i = 0; i < 5; i++) {
		if (setjmp(outside) == 0)
			call_hook(jump_out);
		assert_int_equal(vmt_thread_mine()->depth, 1);
		assert_true(call_hook(NULL));
		assert_int_equal(vmt_thread_mine()->depth, 0);
	}
	assert_int_equal(head.hooks_left, 5);
	assert_int_equal(head.nested_calls, 0);
}

/* Should that have been wrong, nobody could tell who is inside. First: it is for good. */
static void
after_a_hook_that_was_left_nothing_is_unmapped(void **state)
{
	(void)state;
	assert_true(vmt_threads_inside_can_tell());
	if (setjmp(outside) == 0)
		call_hook(jump_out);
	assert_true(vmt_threads_inside_can_tell());
	assert_true(call_hook(NULL));
	assert_false(vmt_threads_inside_can_tell());
}

static void
handle(int number)
{
	(void)number;
	entered = call_hook(NULL);
}

static void
raise_inside(void)
{
	raise(SIGUSR1);
}

static void
handle_on(stack_t *stack, int flags)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = flags};

	if (stack)
		assert_int_equal(sigaltstack(stack, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	entered = true;
	assert_true(call_hook(raise_inside));
	assert_false(entered);
	assert_int_equal(vmt_thread_mine()->depth, 0);
}

/* The alternate stack is part of this one, above the hook. */
static void
a_handler_on_a_stack_above_is_nested(void **state)
{
	_Alignas(16) unsigned char memory[64 * 1024];
	stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)};
	stack_t none = {.ss_flags = SS_DISABLE};

	(void)state;
	handle_on(NULL, 0);
	handle_on(&stack, SA_ONSTACK);
	assert_int_equal(head.nested_calls, 2);
	/* As it is seen from a stack of ours. */
	assert_false(vmt_guard_hook_abandoned((uint64_t)(uintptr_t)memory - 16, memory + 16));
	assert_int_equal(head.hooks_left, 0);
	assert_int_equal(sigaltstack(&none, NULL), 0);
}

static void
a_fork_child_is_reset_by_hand_where_the_kernel_does_not(void **state)
{
	(void)state;
	vmt_guard.owner_wiped = true;
	vmt_guard_forked();
	assert_int_equal(owner.state, VMT_OWNER_RECORDING);
	vmt_guard.owner_wiped = false;
	vmt_guard_forked();
	assert_int_equal(owner.state, VMT_OWNER_NONE);
	/* Under a filter nothing can be opened: then it is inert. */
	vmt_guard.no_syscalls = true;
	assert_false(call_hook(NULL));
	assert_int_equal(owner.state, VMT_OWNER_INERT);
}

/* As the kernel, or vmt_guard_forked, leaves it in a fork child. */
static void
wipe_owner(void)
{
	memset(&owner, 0, sizeof(owner));
}

/* In the child the handler returns into the visit, which is one of the child's from then on. */
static void
a_fork_in_a_handler_takes_the_visit_along(void **state)
{
	(void)state;
	for (int wiped = 0; wiped < 2; wiped++) {
		vmt_guard.owner_wiped = wiped == 1;
		owner.visitors = 2; /* of other threads, which are not in the child */
		assert_true(vmt_guard_visit());
		assert_int_equal(owner.visitors, 3);
		if (vmt_guard.owner_wiped)
			wipe_owner();
		vmt_guard_forked();
		assert_int_equal(owner.visitors, 1);
		vmt_guard_end_visit();
		assert_int_equal(owner.visitors, 0);
		assert_true(vmt_guard_visit());
		vmt_guard_end_visit();
		assert_int_equal(owner.visitors, 0);
	}
}

/* By a call of its own. The count must not wrap: nothing would ever be unmapped. */
static void
a_fork_in_a_handler_that_no_hook_sees_leaves_no_visitor(void **state)
{
	(void)state;
	assert_true(vmt_guard_visit());
	wipe_owner();
	vmt_guard_end_visit();
	assert_int_equal(owner.visitors, 0);
}

static void
nobody_visits_once_it_is_closed(void **state)
{
	(void)state;
	vmt_guard_close();
	assert_false(vmt_guard_visit());
	assert_int_equal(owner.visitors, 0);
	vmt_guard_forked();
	assert_int_equal(owner.visitors, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(after_a_hook_that_was_left_nothing_is_unmapped),
	    TEST(a_nested_call_passes_through),
	    TEST(a_hook_that_was_left_by_longjmp_is_forgotten),
	    TEST(a_handler_on_a_stack_above_is_nested),
	    TEST(a_fork_child_is_reset_by_hand_where_the_kernel_does_not),
	    TEST(a_fork_in_a_handler_takes_the_visit_along),
	    TEST(a_fork_in_a_handler_that_no_hook_sees_leaves_no_visitor),
	    TEST(nobody_visits_once_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
