/* The stack walker against libunwind, frame for frame. */
#include "capture/stacks/cfi.h"
#include "tests/unit/captured_stacks.h"

#include <alloca.h>

static void
test_nested_calls(void **state)
{
	(void)state;
	nested(12);
	assert_same_stacks(14, 0);
	for (uint32_t i = 0; i < 14; i++)
		assert_int_equal(captured.frame_pointers[i], captured.ours[i]);
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
	assert_int_equal(vmt_cfi_rule_kind(vmt_cfi_find(captured.ours[3] - 1)), VMT_CFI_LOAD);
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
	uint64_t frames[VMT_STACK_MAX_FRAMES];
	uint32_t count;

	(void)state;
	for (int i = 0; i < rounds; i++)
		ids[i] = capture_id();
	ids[2] = capture_id();
	assert_int_not_equal(ids[0], 0);
	assert_int_equal(ids[0], ids[1]);
	assert_int_not_equal(ids[0], ids[2]);
	count = vmt_stack_table_read(vmt_recording.stacks.words, *vmt_recording.stacks.words_used,
				     ids[0], frames);
	assert_true(count >= 3 && count <= 30);
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
	    cmocka_unit_test(test_longjmp),
	    cmocka_unit_test(test_recursion_beyond_limit),
	    cmocka_unit_test(test_unknown_code),
	    cmocka_unit_test(test_capture_interns),
	};

	return cmocka_run_group_tests(tests, captured_stacks_set_up, NULL);
}
