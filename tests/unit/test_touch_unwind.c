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

static uint64_t wanted_bytes;

NO_FRAME_POINTER static void
nest(unsigned depth)
{
	volatile char room[40];

	room[0] = (char)depth;
	if (depth > 0)
		nest(depth - 1);
	else
		copied_stack_take(&copied, wanted_bytes);
	sink += (unsigned)room[0];
}

NOINLINE static void
nest_from_here(unsigned depth, uint64_t wanted)
{
	wanted_bytes = wanted;
	nest(depth);
	sink++;
}

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

/* Code made at run time that calls a function, with a frame pointer or with something else in its
 * register. */
static void (*make_code(bool frame_pointer))(void (*)(void))
{
	static const unsigned char bare[] = {0x55, 0xbd, 0x34, 0x12, 0x00, 0x00, 0x48, 0x83, 0xec,
					     0x10, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x10, 0x5d, 0xc3};
	static const unsigned char framed[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
	unsigned char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	union {
		unsigned char *bytes;
		void (*call)(void (*callee)(void));
	} code = {memory};

	assert_ptr_not_equal(memory, MAP_FAILED);
	if (frame_pointer)
		memcpy(memory, framed, sizeof(framed));
	else
		memcpy(memory, bare, sizeof(bare));
	return code.call;
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

#define MARKER (UINT64_MAX - 511) /* PERF_CONTEXT_USER */
#define GO_CODE UINT64_C(0x10000000)

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
	const uint64_t chain[] = {MARKER, GO_CODE + 1, GO_CODE + 2, 8192, GO_CODE + 3};
	const uint64_t frames[] = {GO_CODE + 1, GO_CODE + 2, GO_CODE + 3};

	(void)state;
	begin_with_go();
	walk_chain(chain, 5);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_COMPLETE);
	assert_int_equal(stack.count, 3);
	assert_memory_equal(stack.frames, frames, sizeof(frames));
	walk(2);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_DEEP);
	assert_int_equal(stack.count, 2);
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
	uint64_t chain[] = {MARKER, 0, 0, GO_CODE + 1, GO_CODE + 2};
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
	chain[4] = here.start + 200;
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
	    cmocka_unit_test(go_frames_come_from_the_chain),
	    cmocka_unit_test(a_chain_ends_where_frame_pointers_are_not_kept),
	    cmocka_unit_test(what_is_not_code_is_no_frame),
	    cmocka_unit_test(c_code_that_go_has_called_goes_on_in_the_chain),
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
