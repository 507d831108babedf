/*
 * test_capture_go_stack.c: is a goroutine's stack found the way that runtime.systemstack goes, and
 * nothing where it goes another way?
 *
 * The beginnings of systemstack are those of real binaries but for the place of g, which is a
 * variable of the test's.
 */
#include "capture/go/go_stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* As far as anybody looks at them. */
struct goroutine {
	uint64_t low;
	uint64_t high;
	uint64_t rest1[4];
	struct machine *machine; /* at 48 */
	uint64_t sp;		 /* 56 */
	uint64_t pc;
	uint64_t rest2[4];
	uint64_t rbp; /* 104 */
};
struct machine {
	uint64_t rest1[9];
	uint64_t id; /* at 72; what is compared with g lies behind it */
	uint64_t rest2[14];
	struct goroutine *running; /* at 192 */
};

_Static_assert(offsetof(struct goroutine, machine) == 48 && offsetof(struct goroutine, sp) == 56 &&
		   offsetof(struct goroutine, rbp) == 104 &&
		   offsetof(struct machine, running) == 192,
	       "as in the code below");

static __thread struct goroutine *current;

/* Go 1.23: push, the argument, [how g is got], then from g on. */
static const unsigned char before[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x8b, 0x7c, 0x24, 0x10};
static const unsigned char after[] = {0x48, 0x8b, 0x58, 0x30, 0x48, 0x3b, 0x43, 0x50, 0x74,
				      0x65, 0x48, 0x8b, 0x13, 0x48, 0x39, 0xd0, 0x74, 0x5d,
				      0x48, 0x3b, 0x83, 0xc0, 0x00, 0x00, 0x00, 0x75, 0x5d,
				      0x90, 0x48, 0x8b, 0x60, 0x38, 0x48, 0x8b, 0x68, 0x68};

struct code {
	unsigned char bytes[128];
	size_t length;
	int64_t word; /* what a load relative to the code finds */
};

static void
put(struct code *code, const void *bytes, size_t length)
{
	memcpy(code->bytes + code->length, bytes, length);
	code->length += length;
}

static int64_t
place_of_current(void)
{
	uint64_t pointer;

	__asm__("mov %%fs:0, %0" : "=r"(pointer));
	return (int64_t)((uint64_t)&current - pointer);
}

enum way { WAY_FIXED, WAY_CONSTANT, WAY_LOADED };

/* Go 1.19 has no push. */
static void
make_code(struct code *code, enum way way, size_t skipped)
{
	static const unsigned char through[] = {0x64, 0x48, 0x8b, 0x01};
	int32_t place = (int32_t)place_of_current();
	int32_t distance;

	memset(code, 0, sizeof(*code));
	put(code, before + skipped, sizeof(before) - skipped);
	if (way == WAY_FIXED) {
		put(code, "\x64\x48\x8b\x04\x25", 5);
		put(code, &place, 4);
	} else if (way == WAY_CONSTANT) {
		put(code, "\x48\xc7\xc1", 3);
		put(code, &place, 4);
		put(code, through, sizeof(through));
	} else {
		put(code, "\x48\x8b\x0d", 3);
		code->word = place;
		distance =
		    (int32_t)((unsigned char *)&code->word - (code->bytes + code->length + 4));
		put(code, &distance, 4);
		put(code, through, sizeof(through));
	}
	put(code, after, sizeof(after));
}

static int
begin(void **state)
{
	(void)state;
	vmt_go_runtimes_count = 0;
	current = NULL;
	return 0;
}

static void
test_all_ways_to_g_are_understood(void **state)
{
	struct machine machine = {.running = NULL};
	struct goroutine system = {.low = 1, .high = 2, .machine = &machine};
	struct goroutine user = {.low = 0x10000, .high = 0x20000, .machine = &machine};
	struct code code;

	machine.running = &user;
	for (int way = WAY_FIXED; way <= WAY_LOADED; way++) {
		for (size_t skipped = 0; skipped <= 4; skipped += 4) {
			begin(state);
			make_code(&code, (enum way)way, skipped);
			assert_true(vmt_go_stack_add(0x400000, 0x500000, code.bytes, code.length));
			assert_true(vmt_go_stack_is_known());
			current = &system;
			assert_int_equal(vmt_go_stack_end(0x10000), 0x20000);
			assert_int_equal(vmt_go_stack_end(0x1ffff), 0x20000);
			assert_int_equal(vmt_go_stack_end(0x20000), 0);
			assert_int_equal(vmt_go_stack_end(0xffff), 0);
		}
	}
}

static void
test_a_thread_without_goroutine_has_no_bounds(void **state)
{
	struct machine machine = {.running = NULL};
	struct goroutine system = {.low = 0x10000, .high = 0x20000, .machine = NULL};
	struct code code;

	(void)state;
	make_code(&code, WAY_FIXED, 0);
	assert_true(vmt_go_stack_add(0x400000, 0x500000, code.bytes, code.length));
	assert_int_equal(vmt_go_stack_end(0x10000), 0);
	current = &system;
	assert_int_equal(vmt_go_stack_end(0x10000), 0);
	system.machine = &machine;
	assert_int_equal(vmt_go_stack_end(0x10000), 0);
}

static void
test_a_threads_id_lies_before_its_signal_stack(void **state)
{
	struct machine machine = {.id = 77};
	struct goroutine user = {.low = 0x10000, .high = 0x20000, .machine = &machine};
	struct code code;

	(void)state;
	assert_true(vmt_go_stack_id_word() == 0);
	make_code(&code, WAY_FIXED, 0);
	assert_true(vmt_go_stack_add(0x400000, 0x500000, code.bytes, code.length));
	current = &user;
	assert_true(vmt_go_stack_id_word() == 0); /* the C library makes the threads */
	vmt_go_stack_add_threads();
	assert_true(vmt_go_stack_id_word() == (uint64_t)&machine.id);
	current = NULL;
	assert_true(vmt_go_stack_id_word() == 0);
}

static void
test_other_instructions_are_refused(void **state)
{
	struct code code;
	struct code other;

	make_code(&code, WAY_FIXED, 0);
	/* Up to the offset of m.curg every byte matters but for the four offsets. */
	for (size_t at = 0; at < sizeof(before) + 9 + 21; at++) {
		size_t free_bytes[] = {8, 14, 15, 16, 17, 21, 25, 27, 35};
		bool matters = true;

		for (size_t i = 0; i < sizeof(free_bytes) / sizeof(free_bytes[0]); i++)
			matters = matters && at != free_bytes[i];
		if (!matters)
			continue;
		begin(state);
		other = code;
		other.bytes[at] ^= 0x80;
		assert_false(vmt_go_stack_add(0x400000, 0x500000, other.bytes, other.length));
		assert_int_equal(vmt_go_runtimes_count, 0);
	}
	for (size_t length = 0; length < sizeof(before) + 9 + 25; length++)
		assert_false(vmt_go_stack_add(0x400000, 0x500000, code.bytes, length));
}

static void
test_a_growing_goroutine_is_found_in_morestack_alone(void **state)
{
	struct machine machine = {.running = NULL};
	struct goroutine user = {.low = 0x10000,
				 .high = 0x20000,
				 .machine = &machine,
				 .sp = 0x10100,
				 .pc = 0x400123,
				 .rbp = 0x10200};
	struct vmt_go_growing growing;
	struct code code;

	(void)state;
	machine.running = &user;
	make_code(&code, WAY_FIXED, 0);
	assert_true(vmt_go_stack_add(0x400000, 0x500000, code.bytes, code.length));
	vmt_go_stack_add_growing(0x450000, 0x80);
	current = &user;
	assert_false(vmt_go_stack_growing(0x44ffff, &growing));
	assert_false(vmt_go_stack_growing(0x450080, &growing));
	assert_true(vmt_go_stack_growing(0x45007f, &growing));
	assert_int_equal(growing.pc, 0x400123);
	assert_int_equal(growing.sp, 0x10100);
	assert_int_equal(growing.rbp, 0x10200);
	assert_int_equal(growing.stack_end, 0x20000);
	user.sp = 0x20000;
	assert_false(vmt_go_stack_growing(0x450000, &growing));
}

static void
test_code_is_known_by_its_range(void **state)
{
	(void)state;
	assert_false(vmt_go_stack_is_code(0x400000));
	assert_true(vmt_go_stack_add_text(0x400000, 0x500000));
	assert_true(vmt_go_stack_add_text(0x700000, 0x800000));
	assert_false(vmt_go_stack_is_known());
	assert_false(vmt_go_stack_is_code(0x3fffff));
	assert_true(vmt_go_stack_is_code(0x400000));
	assert_true(vmt_go_stack_is_code(0x4fffff));
	assert_false(vmt_go_stack_is_code(0x500000));
	assert_true(vmt_go_stack_is_code(0x7fffff));
	assert_int_equal(vmt_go_stack_end(0x400000), 0);
	assert_true(vmt_go_stack_add_text(1, 2));
	assert_true(vmt_go_stack_add_text(3, 4));
	assert_false(vmt_go_stack_add_text(5, 6));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_all_ways_to_g_are_understood, begin),
	    cmocka_unit_test_setup(test_a_thread_without_goroutine_has_no_bounds, begin),
	    cmocka_unit_test_setup(test_a_threads_id_lies_before_its_signal_stack, begin),
	    cmocka_unit_test_setup(test_other_instructions_are_refused, begin),
	    cmocka_unit_test_setup(test_a_growing_goroutine_is_found_in_morestack_alone, begin),
	    cmocka_unit_test_setup(test_code_is_known_by_its_range, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
