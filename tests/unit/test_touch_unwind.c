/* Stacks out of registers and a copied piece of stack: of this process and of others, whole, cut,
 * struck by signals, through code without rules. */
#include "collect/touch_unwind.h"

#include "tests/unit/copied_stack.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#if defined(__x86_64__)

static struct copied *shared; /* with a child */

static void
a_whole_stack_reaches_its_entry(void **state)
{
	(void)state;
	begin(getpid());
	nest_from_here(12, COPY_BYTES);
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_COMPLETE);
	assert_int_equal(stack.count, copied.expected_count);
	assert_true(stack.count > 16);
	assert_int_equal(stack.frames[0], copied.thread.ip);
	assert_frames(&stack, &copied, 0);
	end();
}

static void
a_short_copy_is_cut(void **state)
{
	(void)state;
	begin(getpid());
	nest_from_here(12, 512);
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_CUT);
	assert_in_range(stack.count, 3, 12);
	assert_frames(&stack, &copied, 0);
	copied.thread.copy_bytes = 4;
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_CUT);
	assert_int_equal(stack.count, 1);
	end();
}

static void
no_more_frames_than_wanted(void **state)
{
	(void)state;
	begin(getpid());
	nest_from_here(12, COPY_BYTES);
	walk(5);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_DEEP);
	assert_int_equal(stack.count, 5);
	assert_frames(&stack, &copied, 0);
	end();
}

/* The second walk finds every rule remembered: it opens no file. The third reads them again. */
static void
remembered_rules_say_the_same(void **state)
{
	struct vmt_touch_stack first;

	(void)state;
	begin(getpid());
	nest_from_here(12, COPY_BYTES);
	walk(VMT_STACK_MAX_FRAMES);
	first = stack;
	vmt_frame_rules_rest(&rules);
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.count, first.count);
	assert_memory_equal(stack.frames, first.frames, first.count * sizeof(first.frames[0]));
	for (uint32_t i = 0; i < VMT_FRAME_OPEN_FILES; i++)
		assert_int_equal(rules.open[i].file, 0);
	forget_rules();
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.count, first.count);
	assert_memory_equal(stack.frames, first.frames, first.count * sizeof(first.frames[0]));
	end();
}

/* In the child: what is expected, and a stop. */
NOINLINE static void
stop_here(void)
{
	shared->expected_count = 0;
	_Unwind_Backtrace(copied_stack_note, shared);
	raise(SIGSTOP);
	sink++;
}

NO_FRAME_POINTER static void
nest_to_stop(unsigned depth)
{
	volatile char room[40];

	room[0] = (char)depth;
	if (depth > 0)
		nest_to_stop(depth - 1);
	else
		stop_here();
	sink += (unsigned)room[0];
}

static pid_t
start_stopped_child(void)
{
	struct user_regs_struct registers;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		nest_to_stop(9);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &registers), 0);
	copied = *shared;
	copied.thread = (struct vmt_touch_thread){
	    .ip = registers.rip, .sp = registers.rsp, .bp = registers.rbp};
	copied_stack_fill(&copied, pid, COPY_BYTES);
	return pid;
}

static void
end_child(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* The child stands inside of raise: some frames of the C library are further in. */
static void
assert_stack_of_child(void)
{
	uint32_t inside = 0;

	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_COMPLETE);
	assert_true(copied.expected_count > 12);
	assert_true(stack.count > copied.expected_count);
	inside = stack.count - copied.expected_count;
	assert_int_equal(stack.frames[0], copied.thread.ip);
	assert_frames(&stack, &copied, inside);
}

static void
another_process_is_walked(void **state)
{
	pid_t pid = start_stopped_child();

	(void)state;
	forget_rules();
	begin(pid);
	assert_stack_of_child();
	end_child(pid);
	end();
}

/* Nothing of its memory is left, and no rule was read before. */
static void
a_process_that_has_ended_is_walked_by_its_files(void **state)
{
	pid_t pid = start_stopped_child();

	(void)state;
	forget_rules();
	begin(pid);
	end_child(pid);
	assert_stack_of_child();
	end();
}

static void
on_signal(int number)
{
	(void)number;
	copied_stack_take(&copied, COPY_BYTES);
	sink++;
}

NO_FRAME_POINTER static void
strike(unsigned depth)
{
	volatile char room[40];

	room[0] = (char)depth;
	if (depth > 0)
		strike(depth - 1);
	else
		raise(SIGUSR1);
	sink += (unsigned)room[0];
}

static void
take_in_handler(int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	strike(3);
	signal(SIGUSR1, SIG_DFL);
}

/* Where the signal struck addresses are one past, as for return addresses. */
static void
a_handler_is_walked_through(void **state)
{
	uint32_t differ = 0;

	(void)state;
	begin(getpid());
	take_in_handler(0);
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_COMPLETE);
	assert_int_equal(stack.count, copied.expected_count);
	for (uint32_t i = 1; i < stack.count; i++) {
		if (stack.frames[i] == copied.expected[i])
			continue;
		assert_int_equal(stack.frames[i], copied.expected[i] + 1);
		differ++;
	}
	assert_int_equal(differ, 2);
	end();
}

static void
the_stack_beneath_another_one_is_not_copied(void **state)
{
	static char room[65536];
	const stack_t other = {.ss_sp = room, .ss_size = sizeof(room)};
	const stack_t none = {.ss_flags = SS_DISABLE};

	(void)state;
	begin(getpid());
	assert_int_equal(sigaltstack(&other, NULL), 0);
	take_in_handler(SA_ONSTACK);
	assert_int_equal(sigaltstack(&none, NULL), 0);
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_CUT);
	assert_in_range(stack.count, 4, copied.expected_count - 1);
	assert_int_equal(stack.frames[2], copied.expected[2] + 1);
	end();
}

static bool
is_within(uint64_t address, void (*call)(void (*)(void)))
{
	union {
		void (*call)(void (*callee)(void));
		uint64_t address;
	} code = {call};

	return address > code.address && address < code.address + 18;
}

static void
code_without_rules_keeps_its_address(void **state)
{
	void (*bare)(void (*)(void)) = make_code(false);
	void (*framed)(void (*)(void)) = make_code(true);

	(void)state;
	begin(getpid());
	bare(take_copy);
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_NO_RULES);
	assert_int_equal(stack.count, 3);
	assert_true(is_within(stack.frames[2], bare));
	framed(take_copy);
	walk(VMT_STACK_MAX_FRAMES);
	assert_true(is_within(stack.frames[2], framed));
	assert_true(stack.count > 4);
	end();
}

/* The loader's entry has no rules, nor a frame pointer. */
static void
the_entry_without_rules_is_the_end(void **state)
{
	void (*bare)(void (*)(void)) = make_code(false);

	(void)state;
	begin(getpid());
	assert_true(unwind.stack_start > (uint64_t)__builtin_frame_address(0));
	copied.thread = (struct vmt_touch_thread){.ip = (uint64_t)(uintptr_t)bare,
						  .sp = unwind.stack_start - 64,
						  .copy = copied.bytes,
						  .copy_bytes = COPY_BYTES,
						  .copy_wanted = COPY_BYTES};
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_COMPLETE);
	assert_int_equal(stack.count, 1);
	copied.thread.sp -= 4096;
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_NO_RULES);
	copied.thread.sp += 4096;
	copied.thread.bp = 1;
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_NO_RULES);
	end();
}

static int
set_up(void **state)
{
	(void)state;
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED;
}

static int
tear_down(void **state)
{
	(void)state;
	forget_rules();
	munmap(shared, sizeof(*shared));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_whole_stack_reaches_its_entry),
	    cmocka_unit_test(a_short_copy_is_cut),
	    cmocka_unit_test(no_more_frames_than_wanted),
	    cmocka_unit_test(remembered_rules_say_the_same),
	    cmocka_unit_test(another_process_is_walked),
	    cmocka_unit_test(a_process_that_has_ended_is_walked_by_its_files),
	    cmocka_unit_test(a_handler_is_walked_through),
	    cmocka_unit_test(the_stack_beneath_another_one_is_not_copied),
	    cmocka_unit_test(code_without_rules_keeps_its_address),
	    cmocka_unit_test(the_entry_without_rules_is_the_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

#else

int
main(void)
{
	return 0;
}

#endif
