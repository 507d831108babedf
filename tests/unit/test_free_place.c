/*
 * test_free_place.c: is the nearest place found that a file's code reaches, on both sides of it?
 */
#include "inject/free_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define LOW UINT64_C(0x7f0000000000)
#define FILE_BYTES UINT64_C(0x200000)
#define HIGH (LOW + FILE_BYTES)
#define BYTES UINT64_C(0x30000)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define UNIT VMT_FREE_PLACE_UNIT
#define REACH VMT_FREE_PLACE_REACH_BYTES

/* What is mapped besides the file: below it and above, ascending. name: of the second. */
struct space {
	uint64_t below_low, below_high;
	uint64_t above_low, above_high;
	const char *above_name;
};

static int
find(const struct space *space, uint64_t stack_bytes, uint64_t *address)
{
	struct vmt_free_place wanted = {LOW, HIGH, BYTES, stack_bytes};
	char text[1024];
	int bytes = 0;
	int fd = memfd_create("maps", 0);
	int result;

	assert_true(fd >= 0);
	if (space->below_high != 0)
		bytes +=
		    snprintf(text, sizeof(text), "%lx-%lx ---p 00000000 00:00 0 \n",
			     (unsigned long)space->below_low, (unsigned long)space->below_high);
	/* A hole within the file is nobody's place. */
	bytes += snprintf(text + bytes, sizeof(text) - (size_t)bytes,
			  "%lx-%lx r-xp 00000000 08:01 5 /lib/libc.so.6\n"
			  "%lx-%lx rw-p 00001000 08:01 5 /lib/libc.so.6\n",
			  (unsigned long)LOW, (unsigned long)LOW + 0x1000,
			  (unsigned long)HIGH - 0x1000, (unsigned long)HIGH);
	if (space->above_high != 0)
		bytes +=
		    snprintf(text + bytes, sizeof(text) - (size_t)bytes,
			     "%lx-%lx rw-p 00000000 00:00 0 %s\n", (unsigned long)space->above_low,
			     (unsigned long)space->above_high, space->above_name);
	assert_int_equal(write(fd, text, (size_t)bytes), bytes);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	result = vmt_free_place_read(fd, &wanted, address);
	close(fd);
	return result;
}

static void
expect(const struct space *space, uint64_t place)
{
	uint64_t address = 0;

	assert_int_equal(find(space, 8 * MIB, &address), 0);
	assert_int_equal(address, place);
}

static void
expect_none(const struct space *space)
{
	uint64_t address;

	assert_int_equal(find(space, 8 * MIB, &address), -ENOSPC);
}

static void
the_nearer_side(void **state)
{
	(void)state;
	expect(&(struct space){.above_name = ""}, LOW - UNIT - BYTES);
	expect(&(struct space){LOW - 4 * MIB, LOW, HIGH, HIGH + MIB, ""}, HIGH + MIB + UNIT);
	expect(&(struct space){LOW - MIB, LOW, HIGH, HIGH + 4 * MIB, ""}, LOW - MIB - UNIT - BYTES);
}

/* As a Go program has it: more than a GiB without a gap right below. */
static void
above_where_all_below_is_taken(void **state)
{
	(void)state;
	expect(&(struct space){.below_low = LOW - 3 * GIB, .below_high = LOW}, HIGH + UNIT);
	/* and behind 1.2 GiB on the other side */
	expect(&(struct space){LOW - 3 * GIB, LOW, HIGH, HIGH + 1200 * MIB, ""},
	       HIGH + 1200 * MIB + UNIT);
}

/* All of the file reaches all of the place, to the last unit. */
static void
what_just_fits(void **state)
{
	const uint64_t first = HIGH - REACH;	   /* below, the file's end reaches no further */
	const uint64_t last = LOW + REACH - BYTES; /* above, from the file's beginning */

	(void)state;
	expect(&(struct space){first + BYTES + UNIT, LOW, HIGH, HIGH + 3 * GIB, ""}, first);
	expect_none(&(struct space){first + BYTES, LOW, HIGH, HIGH + 3 * GIB, ""});
	expect(&(struct space){LOW - 3 * GIB, LOW, HIGH, last - UNIT, ""}, last);
	expect_none(&(struct space){LOW - 3 * GIB, LOW, HIGH, last, ""});
}

static void
gaps_that_are_too_small(void **state)
{
	(void)state;
	expect(&(struct space){LOW - 3 * GIB, LOW, HIGH + BYTES + 2 * UNIT, HIGH + 3 * GIB, ""},
	       HIGH + UNIT);
	expect_none(&(struct space){LOW - 3 * GIB, LOW, HIGH + BYTES + UNIT, HIGH + 3 * GIB, ""});
}

static void
both_sides_full(void **state)
{
	(void)state;
	expect_none(&(struct space){LOW - 3 * GIB, LOW, HIGH, HIGH + 3 * GIB, ""});
}

/* The stack keeps what it may grow into, and the break a GiB. */
static void
room_to_grow_stays(void **state)
{
	const uint64_t base = HIGH + 16 * MIB;
	struct space space = {LOW - 3 * GIB, LOW, base, base + MIB, "[stack]"};
	uint64_t address = 0;

	(void)state;
	assert_int_equal(find(&space, 8 * MIB, &address), 0);
	assert_int_equal(address, HIGH + UNIT);
	assert_int_equal(find(&space, 16 * MIB, &address), 0);
	assert_int_equal(address, base + MIB + UNIT); /* it does not grow upwards */
	assert_int_equal(find(&space, UINT64_MAX, &address), 0);
	assert_int_equal(address, base + MIB + UNIT);
	space = (struct space){LOW - 3 * GIB, LOW, HIGH, HIGH + MIB, "[heap]"};
	expect(&space, HIGH + MIB + GIB + UNIT);
}

/* Of this very process: it is free there, and near. */
static void
a_process_has_a_place(void **state)
{
	const uint64_t low = (uint64_t)(uintptr_t)the_nearer_side & ~(UNIT - 1);
	uint64_t place = 0;
	void *there;

	(void)state;
	assert_int_equal(vmt_free_place_find(getpid(), low, low + UNIT, BYTES, &place), 0);
	assert_true(place + REACH >= low + UNIT && low + REACH >= place + BYTES);
	there =
	    mmap((void *)(uintptr_t)place, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_equal(there, (void *)(uintptr_t)place);
	munmap(there, BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_nearer_side),
	    cmocka_unit_test(above_where_all_below_is_taken),
	    cmocka_unit_test(what_just_fits),
	    cmocka_unit_test(gaps_that_are_too_small),
	    cmocka_unit_test(both_sides_full),
	    cmocka_unit_test(room_to_grow_stays),
	    cmocka_unit_test(a_process_has_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
