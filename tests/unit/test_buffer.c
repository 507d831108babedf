/*
 * test_buffer.c: does a buffer keep what is in it, and take no more memory than was touched?
 */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void
grows_and_keeps_its_contents(void **state)
{
	struct vmt_buffer buffer = {0};

	(void)state;
	assert_true(vmt_buffer_reserve(&buffer, 1));
	memset(buffer.bytes, 7, buffer.capacity);
	size_t first = buffer.capacity;

	assert_true(vmt_buffer_reserve(&buffer, first * 100));
	assert_true(buffer.capacity >= first * 100);
	assert_int_equal(buffer.bytes[0], 7);
	assert_int_equal(buffer.bytes[first - 1], 7);
	assert_int_equal(buffer.bytes[first], 0);
	assert_false(vmt_buffer_reserve(&buffer, SIZE_MAX / 2));
	assert_int_equal(buffer.bytes[0], 7);
	vmt_buffer_free(&buffer);
	assert_null(buffer.bytes);
}

/* Whether the mapping of an address has a flag of Documentation/filesystems/proc.rst, "VmFlags". */
static bool
has_flag(const void *address, const char *flag)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	bool inside = false, found = false;
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (unsigned long)address >= start && (unsigned long)address < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(file);
	return found;
}

static void
takes_no_huge_pages(void **state)
{
	struct vmt_buffer buffer = {0};

	(void)state;
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) {
		print_message("skip: no transparent huge pages here\n");
		skip();
	}
	assert_true(vmt_buffer_reserve(&buffer, (size_t)8 << 20));
	assert_true(has_flag(buffer.bytes, " nh"));
	assert_true(vmt_buffer_reserve(&buffer, (size_t)64 << 20));
	assert_true(has_flag(buffer.bytes, " nh"));
	assert_true(has_flag(buffer.bytes + buffer.capacity - 1, " nh"));
	vmt_buffer_free(&buffer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(grows_and_keeps_its_contents),
	    cmocka_unit_test(takes_no_huge_pages),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
