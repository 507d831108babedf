/* What perf's record of mapped code says, whole and cut anywhere. */
#include "collect/touch_record.h"

#include <linux/perf_event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* PERF_RECORD_MMAP2 without its header, and what every record ends with. */
struct mapped {
	uint32_t pid, tid;
	uint64_t address, length, offset;
	uint32_t major, minor;
	uint64_t inode, generation;
	uint32_t protection, flags;
	char path[16];
	uint32_t again_pid, again_tid;
	uint64_t time;
};

static const struct mapped example = {.pid = 7,
				      .tid = 8,
				      .address = 0x7f0000001000,
				      .length = 0x3000,
				      .offset = 0x1000,
				      .major = 8,
				      .minor = 1,
				      .inode = 99,
				      .protection = 5,
				      .path = "/lib/a.so"};

static bool
read_example(const void *bytes, size_t length, uint32_t *pid, struct vmt_mapping *mapping)
{
	const struct vmt_touch_record record = {
	    .type = PERF_RECORD_MMAP2, .body = bytes, .body_bytes = length};

	return vmt_touch_record_read_mapped(&record, pid, mapping);
}

static void
every_field_is_taken(void **state)
{
	struct vmt_mapping mapping;
	uint32_t pid;

	(void)state;
	assert_true(read_example(&example, sizeof(example), &pid, &mapping));
	assert_int_equal(pid, 7);
	assert_int_equal(mapping.start, 0x7f0000001000);
	assert_int_equal(mapping.end, 0x7f0000004000);
	assert_int_equal(mapping.file_offset, 0x1000);
	assert_int_equal(mapping.device, 8 << 20 | 1);
	assert_int_equal(mapping.inode, 99);
	assert_int_equal(mapping.protection, 5);
	assert_int_equal(mapping.path_bytes, 9);
	assert_memory_equal(mapping.path, "/lib/a.so", 9);
}

/* Copies of just so many bytes: a read beyond is seen by the sanitizer. */
static void
a_record_that_is_cut_is_refused(void **state)
{
	const size_t until_path = offsetof(struct mapped, path) + sizeof("/lib/a.so");
	struct vmt_mapping mapping;
	uint32_t pid;

	(void)state;
	for (size_t length = 0; length <= until_path; length++) {
		char *bytes = malloc(length ? length : 1);

		assert_non_null(bytes);
		memcpy(bytes, &example, length);
		assert_int_equal(read_example(bytes, length, &pid, &mapping), length == until_path);
		free(bytes);
	}
}

static void
other_records_and_odd_lengths_are_refused(void **state)
{
	struct vmt_touch_record record = {.type = PERF_RECORD_SAMPLE,
					  .body = (const unsigned char *)&example,
					  .body_bytes = sizeof(example)};
	struct mapped odd = example;
	struct vmt_mapping mapping;
	uint32_t pid;

	(void)state;
	assert_false(vmt_touch_record_read_mapped(&record, &pid, &mapping));
	odd.length = UINT64_MAX - 1;
	assert_false(read_example(&odd, sizeof(odd), &pid, &mapping));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_field_is_taken),
	    cmocka_unit_test(a_record_that_is_cut_is_refused),
	    cmocka_unit_test(other_records_and_odd_lengths_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
