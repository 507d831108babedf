/* The stack walker against libunwind, frame for frame, and against stacks that are none. */
#include "preload/cfi.h"
#include "preload/modules.h"
#include "preload/stack_bounds.h"
#include "preload/stacks.h"
#include "preload/unwind.h"
#include "tests/unit/memory_trace.h"

#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#define LIMIT 128u
#if defined(__clang__)
#define NOINLINE __attribute__((noinline))
#define NO_FRAME_POINTER NOINLINE
#else
#define NOINLINE __attribute__((noinline, noclone))
#define NO_FRAME_POINTER __attribute__((noinline, noclone, optimize("omit-frame-pointer")))
#endif

struct captured {
	uint64_t ours[LIMIT];
	uint64_t theirs[LIMIT];
	uint64_t frame_pointers[LIMIT];
	uint32_t our_count;
	uint32_t their_count;
	uint32_t frame_pointers_count;
	uint32_t limit;
};

static struct captured captured;
static volatile unsigned sink;

/* Stands for a hook: its caller is the innermost frame. */
NOINLINE static void
capture(void)
{
	const void *frame = __builtin_frame_address(0);

	assert_true(vmt_stacks_choose(VMT_STACKS_WALK_FP));
	captured.frame_pointers_count =
	    vmt_stacks_walk(frame, captured.frame_pointers, captured.limit);
	assert_true(vmt_stacks_choose(VMT_STACKS_WALK_CFI));
	captured.our_count = vmt_stacks_walk(frame, captured.ours, captured.limit);
	captured.their_count = vmt_unwind_walk(frame, captured.theirs, captured.limit);
	sink++;
}

/* Frames of a signal: the walker gives addresses that lie one past, libunwind exact ones. */
static void
assert_same_stacks(uint32_t least, uint32_t struck)
{
	uint32_t differ = 0;

	assert_true(captured.our_count >= least);
	assert_int_equal(captured.our_count, captured.their_count);
	for (uint32_t i = 0; i < captured.our_count; i++) {
		if (captured.ours[i] == captured.theirs[i])
			continue;
		assert_int_equal(captured.ours[i], captured.theirs[i] + 1);
		differ++;
	}
	assert_int_equal(differ, struck);
}

NOINLINE static void
nested(unsigned depth)
{
	if (depth == 0)
		capture();
	else
		nested(depth - 1);
	sink++;
}

static void
test_nested_calls(void **state)
{
	(void)state;
	nested(12);
	assert_same_stacks(14, 0);
	for (uint32_t i = 0; i < 14; i++)
		assert_int_equal(captured.frame_pointers[i], captured.ours[i]);
}

NO_FRAME_POINTER static void
bare_small(unsigned depth)
{
	if (depth == 0)
		capture();
	else
		bare_small(depth - 1);
	sink++;
}

NO_FRAME_POINTER static void
bare_large(unsigned depth)
{
	volatile char buffer[3000];

	buffer[depth] = 1;
	bare_small(depth);
	sink += (unsigned)buffer[depth];
}

NO_FRAME_POINTER static unsigned
bare_many(unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f, unsigned g,
	  unsigned h)
{
	unsigned kept = a * b + c * d + e * f + g * h;

	bare_large(a);
	sink += a + b * c + d * e + f * g + h;
	return kept + sink;
}

static void
test_no_frame_pointers(void **state)
{
	(void)state;
	bare_many(3, 2, 3, 4, 5, 6, 7, 8);
	assert_same_stacks(8, 0);
#if !defined(__clang__)
	assert_int_not_equal(captured.frame_pointers_count, captured.our_count);
#endif
}

NO_FRAME_POINTER static void
with_alloca(unsigned bytes)
{
	volatile char *memory = alloca(bytes);

	memory[bytes - 1] = 1;
	if (bytes > 100)
		with_alloca(bytes / 2);
	else
		capture();
	sink += (unsigned)memory[bytes - 1];
}

static void
test_alloca(void **state)
{
	(void)state;
	with_alloca(5000);
	assert_same_stacks(8, 0);
}

/* More than the ABI's alignment and a frame of unknown size: GCC saves the CFA below rbp. */
NO_FRAME_POINTER static void
realigned(unsigned bytes)
{
	_Alignas(128) volatile char buffer[256];
	volatile char *memory = alloca(bytes);

	buffer[0] = memory[0] = 1;
	bare_small(2);
	sink += (unsigned)(buffer[0] + memory[0]) + ((uintptr_t)buffer & 127);
}

static void
test_realigned_frame(void **state)
{
	(void)state;
	realigned(100);
	assert_same_stacks(5, 0);
	realigned(1000);
	assert_same_stacks(5, 0);
#if !defined(__clang__)
	assert_int_equal(vmt_cfi_kind(vmt_cfi_find(captured.ours[3] - 1)), VMT_CFI_LOAD);
#endif
}

#if !defined(__clang__)
__attribute__((noinline, noclone, optimize("omit-frame-pointer,optimize-sibling-calls")))
#else
NOINLINE
#endif
static void
tail_called(unsigned depth)
{
	sink++;
	bare_small(depth);
}

NOINLINE static void
tail_caller(unsigned depth)
{
	nested(0);
	tail_called(depth);
}

static void
test_tail_calls(void **state)
{
	(void)state;
	tail_caller(3);
	assert_same_stacks(5, 0);
}

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

static char *
make_stack(size_t bytes)
{
	char *memory = mmap(NULL, bytes + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(mprotect(memory + 4096, bytes, PROT_READ | PROT_WRITE), 0);
	return memory + 4096;
}

static void
drop_stack(char *memory, size_t bytes)
{
	munmap(memory - 4096, bytes + 2 * 4096);
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

static jmp_buf jumped;

NOINLINE static void
jump_back(unsigned depth)
{
	if (depth > 0)
		jump_back(depth - 1);
	else if (sink != UINT32_MAX)
		longjmp(jumped, 1);
	sink++;
}

static void
test_longjmp(void **state)
{
	(void)state;
	if (setjmp(jumped) == 0)
		jump_back(20);
	nested(2);
	assert_same_stacks(4, 0);
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

static void
test_recursion_beyond_limit(void **state)
{
	(void)state;
	captured.limit = 20;
	bare_small(500);
	assert_same_stacks(20, 0);
	assert_int_equal(captured.our_count, 20);
	captured.limit = 1;
	bare_small(5);
	assert_same_stacks(1, 0);
	captured.limit = LIMIT;
}

static void *
thread_body(void *result)
{
	uint64_t top;

	bare_many(3, 2, 3, 4, 5, 6, 7, 8);
	__asm__("mov %%fs:0, %0" : "=r"(top));
	*(bool *)result = vmt_state_thread.stack_high == top &&
			  vmt_state_thread.stack_low <= (uint64_t)__builtin_frame_address(0);
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
	vmt_state_process.no_syscalls = true;
	run_coroutine();
	assert_true(captured.our_count >= 1 && captured.our_count <= captured.their_count);
	nested(12);
	assert_same_stacks(14, 0);
	vmt_state_process.no_syscalls = false;
}

/* A frame of code that nobody knows, with rbp as given. */
static uint32_t
walk_from(uint64_t rbp, enum vmt_stacks_walker walker, uint64_t *addresses)
{
	uint64_t words[4] = {rbp, 0x7000, 0x1234, 0x5678};
	uint32_t count;

	assert_true(vmt_stacks_choose(walker));
	count = vmt_stacks_walk(words, addresses, LIMIT);
	assert_true(vmt_stacks_choose(VMT_STACKS_WALK_CFI));
	return count;
}

static void
test_corrupted_rbp(void **state)
{
	char *memory = make_stack(4096);
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	const uint64_t wild[] = {0,
				 1,
				 8,
				 UINT64_MAX,
				 UINT64_MAX - 7,
				 UINT64_C(1) << 63,
				 (uint64_t)memory - 8,
				 (uint64_t)memory + 4096,
				 (uint64_t)memory + 4088,
				 here - 65536,
				 here + 1,
				 here + 4,
				 UINT64_C(0x7fffffffeff8)};
	uint64_t addresses[LIMIT];

	(void)state;
	for (unsigned i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		assert_int_equal(walk_from(wild[i], VMT_STACKS_WALK_CFI, addresses), 1);
		assert_int_equal(addresses[0], 0x7000);
		assert_int_equal(walk_from(wild[i], VMT_STACKS_WALK_FP, addresses), 1);
	}
	drop_stack(memory, 4096);
}

/* Every word of the present stack as rbp, from unknown code: no fault, and an end. */
static void
test_any_rbp(void **state)
{
	uint64_t addresses[LIMIT];
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	(void)state;
	for (uint64_t rbp = here; rbp < here + 2000; rbp += 8) {
		uint32_t count = walk_from(rbp, VMT_STACKS_WALK_CFI, addresses);

		assert_true(count >= 1 && count <= LIMIT);
	}
}

/* The same for code whose rules rest on rbp: a frame with a real return address. */
static void
test_any_rbp_known_code(void **state)
{
	uint64_t addresses[LIMIT];
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	(void)state;
	nested(1);
	for (uint64_t rbp = here - 4096; rbp < here + 4096; rbp += 4) {
		uint64_t words[] = {rbp, captured.ours[0], 0, 1, 2, 3};
		uint32_t count = vmt_stacks_walk(words, addresses, LIMIT);

		assert_true(count >= 1 && count <= LIMIT);
	}
}

/* Code outside any module, with frame pointers: as a JIT compiler leaves it. */
static void
test_unknown_code(void **state)
{
	/* push rbp; mov rbp, rsp; call *rdi; pop rbp; ret */
	static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
	union {
		void *memory;
		void (*call)(void (*callee)(void));
	} jit;

	(void)state;
	jit.memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(jit.memory, MAP_FAILED);
	memcpy(jit.memory, code, sizeof(code));
	nested(0);
	jit.call(capture);
	assert_int_equal(captured.ours[0], (uint64_t)jit.memory + 6);
	assert_true(captured.our_count >= 5);
	assert_int_equal(captured.ours[1], captured.frame_pointers[1]);
	munmap(jit.memory, 4096);
}

NOINLINE static uint32_t
capture_id(void)
{
	return VMT_STACK();
}

static void
test_capture_interns(void **state)
{
	volatile int rounds = 2;
	uint32_t ids[3];
	const uint64_t *frames;
	uint32_t count = 0;

	(void)state;
	for (int i = 0; i < rounds; i++)
		ids[i] = capture_id();
	ids[2] = capture_id();
	assert_int_not_equal(ids[0], 0);
	assert_int_equal(ids[0], ids[1]);
	assert_int_not_equal(ids[0], ids[2]);
	frames = vmt_stack_table_get(vmt_state_process.stacks.words,
				     *vmt_state_process.stacks.words_used, ids[0], &count);
	assert_non_null(frames);
	assert_true(count >= 3 && count <= 30);
}

static int
set_up(void **state)
{
	(void)state;
	memory_trace_begin();
	vmt_stacks_set_up();
	vmt_modules_refresh();
	captured.limit = LIMIT;
	return vmt_unwind_open() ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nested_calls),
	    cmocka_unit_test(test_no_frame_pointers),
	    cmocka_unit_test(test_alloca),
	    cmocka_unit_test(test_realigned_frame),
	    cmocka_unit_test(test_tail_calls),
	    cmocka_unit_test(test_signal_same_stack),
	    cmocka_unit_test(test_signal_alternate_stack),
	    cmocka_unit_test(test_stack_overflow_handler),
	    cmocka_unit_test(test_longjmp),
	    cmocka_unit_test(test_coroutine),
	    cmocka_unit_test(test_recursion_beyond_limit),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_coroutine_of_thread),
	    cmocka_unit_test(test_no_syscalls),
	    cmocka_unit_test(test_corrupted_rbp),
	    cmocka_unit_test(test_any_rbp),
	    cmocka_unit_test(test_any_rbp_known_code),
	    cmocka_unit_test(test_unknown_code),
	    cmocka_unit_test(test_capture_interns),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
