#include "tools/read/symbols/recorded_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <cmocka.h>

struct place {
	uint32_t device;
	uint64_t inode;
};

/* Of this program, as maps has it. */
static struct place
own_place(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned major_number, minor_number;
	unsigned long long inode;
	char line[8192];

	assert_non_null(maps);
	do /* the first of the program's own; a sanitizer's memory may lie below */
		assert_non_null(fgets(line, sizeof(line), maps));
	while (!strstr(line, "test_recorded_files"));
	fclose(maps);
	assert_int_equal(
	    sscanf(line, "%*s %*s %*s %x:%x %llu", &major_number, &minor_number, &inode), 3);
	return (struct place){major_number << 20 | minor_number, inode};
}

static uint64_t
changed_ns(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return (uint64_t)status.st_ctim.tv_sec * 1000000000u + (uint64_t)status.st_ctim.tv_nsec;
}

static bool
has(int fd, uint64_t start_unix_ns, struct place place)
{
	struct vmt_recorded_files *files = vmt_recorded_files_new(start_unix_ns);
	bool found;

	assert_non_null(files);
	assert_int_equal(vmt_recorded_files_add(files, 0, 1), 0);
	assert_int_equal(vmt_recorded_files_add(files, place.device, place.inode), 0);
	found = vmt_recorded_files_has(files, fd);
	vmt_recorded_files_free(files);
	return found;
}

static void
a_file_that_was_mapped_and_not_changed_since(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct place own = own_place();
	struct place other_device = {own.device + 1, own.inode};
	struct place other_inode = {own.device, own.inode + 1};

	(void)state;
	assert_true(fd >= 0);
	assert_true(has(fd, changed_ns(fd), own));
	assert_true(has(fd, UINT64_MAX, own));
	assert_false(has(fd, changed_ns(fd) - 1, own));
	assert_false(has(fd, 0, own));
	assert_false(has(fd, UINT64_MAX, other_device));
	assert_false(has(fd, UINT64_MAX, other_inode));
	close(fd);
}

static void
what_can_not_be_mapped_is_none(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_false(has(ends[0], UINT64_MAX, own_place()));
	assert_false(has(-1, UINT64_MAX, own_place()));
	close(ends[0]);
	close(ends[1]);
}

static void
files_are_bounded(void **state)
{
	struct vmt_recorded_files *files = vmt_recorded_files_new(UINT64_MAX);
	int fd = open("/proc/self/exe", O_RDONLY);
	struct place own = own_place();

	(void)state;
	assert_true(fd >= 0);
	for (uint64_t i = 0; i < VMT_RECORDED_FILES_MAX; i++) {
		assert_int_equal(vmt_recorded_files_add(files, own.device + 1, i), 0);
		assert_int_equal(vmt_recorded_files_add(files, own.device + 1, i), 0);
	}
	assert_int_equal(vmt_recorded_files_add(files, own.device, own.inode), 0);
	assert_false(vmt_recorded_files_has(files, fd));
	vmt_recorded_files_free(files);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_that_was_mapped_and_not_changed_since),
	    cmocka_unit_test(what_can_not_be_mapped_is_none),
	    cmocka_unit_test(files_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
