/*
 * test_blob_placement.c: is what the blob answers held within its bounds, whoever wrote it?
 */
#include "inject/blob_placement.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* In this process's own memory. */
static struct vmt_blob_parameters there, answer;

static int
read_answer(void)
{
	const struct vmt_blob_placement placement = {.address = (uintptr_t)&there};
	struct vmt_target target;
	int result;

	assert_int_equal(vmt_target_open(&target, getpid()), 0);
	memset(&answer, 0xa5, sizeof(answer));
	result = vmt_blob_placement_read(&placement, &target, &answer);
	vmt_target_close(&target);
	return result;
}

static void
start_anew(void)
{
	there = (struct vmt_blob_parameters){
	    .low = 4096, .high = 8192, .state = VMT_BLOB_REFUSED, .why = "no room"};
}

static void
an_answer_is_read(void **state)
{
	(void)state;
	start_anew();
	there.go_places_count = VMT_BLOB_GO_PLACES;
	there.own[VMT_BLOB_OWN - 1] = (struct vmt_blob_range){UINT64_MAX - 4096, 4096};
	assert_int_equal(read_answer(), 0);
	assert_memory_equal(&answer, &there, sizeof(there));
}

static void
assert_refused(void)
{
	assert_int_equal(read_answer(), -EBADMSG);
	assert_true(answer.go_places_count <= VMT_BLOB_GO_PLACES);
	for (unsigned i = 0; i < VMT_BLOB_OWN; i++)
		assert_true(answer.own[i].bytes <= UINT64_MAX - answer.own[i].start);
}

static void
counts_and_ranges_beyond_their_bounds_are_refused(void **state)
{
	(void)state;
	start_anew();
	there.go_places_count = VMT_BLOB_GO_PLACES + 1;
	assert_refused();
	there.go_places_count = UINT32_MAX;
	assert_refused();
	start_anew();
	there.own[3] = (struct vmt_blob_range){UINT64_MAX - 4095, 4096};
	assert_refused();
	start_anew();
	there.high = 4095;
	assert_refused();
}

static void
its_words_are_a_string_of_printable_characters(void **state)
{
	(void)state;
	start_anew();
	strcpy(there.why, "a\033[2Jb\nc\177\302\233d~");
	assert_int_equal(read_answer(), 0);
	assert_string_equal(answer.why, "a?[2Jb?c???d~");
	memset(there.why, 'x', sizeof(there.why));
	assert_int_equal(read_answer(), 0);
	assert_int_equal(strnlen(answer.why, sizeof(answer.why)), sizeof(answer.why) - 1);
}

static void
memory_that_is_not_there_is_no_answer(void **state)
{
	const struct vmt_blob_placement placement = {.address = 4096};
	struct vmt_target target;

	(void)state;
	assert_int_equal(vmt_target_open(&target, getpid()), 0);
	assert_int_equal(vmt_blob_placement_read(&placement, &target, &answer), -EIO);
	vmt_target_close(&target);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_is_read),
	    cmocka_unit_test(counts_and_ranges_beyond_their_bounds_are_refused),
	    cmocka_unit_test(its_words_are_a_string_of_printable_characters),
	    cmocka_unit_test(memory_that_is_not_there_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
