/*
 * test_trace_dir.c: what is done to the file of a trace, and to no other?
 */
#include "collect/trace_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char base[64];
static char directory[96];
static char path[128];

static int
set_up(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/vmt-trace-dir-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(directory, sizeof(directory), "%s/traces", base);
	snprintf(path, sizeof(path), "%s/one.vmt", directory);
	return mkdir(directory, 0755);
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command); /* NOLINT(cert-env33-c) */
}

static struct stat
write_file(const char *name, const char *text)
{
	struct stat status;
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fstat(fd, &status), 0);
	close(fd);
	return status;
}

static void
a_directory_may_be_moved_meanwhile(void **state)
{
	struct stat status = write_file(path, "trace");
	struct vmt_trace_dir dir;
	char moved[128];
	char other[160];

	(void)state;
	assert_int_equal(vmt_trace_dir_open(&dir, path), 0);
	assert_string_equal(dir.name, "one.vmt");
	assert_true(vmt_trace_dir_has(&dir, dir.name, status.st_dev, status.st_ino));
	/* Somebody puts another directory there, with a file that matters. */
	snprintf(moved, sizeof(moved), "%s/elsewhere", base);
	assert_int_equal(rename(directory, moved), 0);
	assert_int_equal(mkdir(directory, 0755), 0);
	write_file(path, "matters");
	assert_int_equal(vmt_trace_dir_remove(&dir, dir.name), 0);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(other, sizeof(other), "%s/one.vmt", moved);
	assert_int_equal(access(other, F_OK), -1);
	vmt_trace_dir_close(&dir);
}

static void
a_link_is_not_the_file(void **state)
{
	struct vmt_trace_dir dir;
	char target[128];
	struct stat status;

	(void)state;
	snprintf(target, sizeof(target), "%s/target", base);
	status = write_file(target, "matters");
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(vmt_trace_dir_open(&dir, path), 0);
	assert_false(vmt_trace_dir_has(&dir, dir.name, status.st_dev, status.st_ino));
	assert_int_equal(vmt_trace_dir_make(&dir, dir.name), -EEXIST);
	assert_int_equal(access(target, F_OK), 0);
	vmt_trace_dir_close(&dir);
}

static void
a_file_that_was_left_behind_is_made_anew(void **state)
{
	struct stat status;
	struct vmt_trace_dir dir;
	int fd;

	(void)state;
	write_file(path, "half of a trace");
	assert_int_equal(vmt_trace_dir_open(&dir, path), 0);
	fd = vmt_trace_dir_make(&dir, dir.name);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	/* This one is somebody's now. */
	assert_int_equal(vmt_trace_dir_make(&dir, dir.name), -EEXIST);
	close(fd);
	vmt_trace_dir_close(&dir);
}

static void
a_file_with_another_name_is_left_alone(void **state)
{
	struct vmt_trace_dir dir;
	char other[128];

	(void)state;
	write_file(path, "matters");
	snprintf(other, sizeof(other), "%s/other", base);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(vmt_trace_dir_open(&dir, path), 0);
	assert_int_equal(vmt_trace_dir_make(&dir, dir.name), -EEXIST);
	vmt_trace_dir_close(&dir);
}

static void
two_files_change_names(void **state)
{
	struct stat one = write_file(path, "one");
	struct stat two;
	struct vmt_trace_dir dir;
	char other[128];

	(void)state;
	snprintf(other, sizeof(other), "%s/one.vmt.part", directory);
	two = write_file(other, "two");
	assert_int_equal(vmt_trace_dir_open(&dir, path), 0);
	assert_int_equal(vmt_trace_dir_exchange(&dir, "one.vmt.part", "one.vmt"), 0);
	assert_true(vmt_trace_dir_has(&dir, "one.vmt", two.st_dev, two.st_ino));
	assert_true(vmt_trace_dir_has(&dir, "one.vmt.part", one.st_dev, one.st_ino));
	vmt_trace_dir_close(&dir);
}

static void
what_names_no_file_is_refused(void **state)
{
	struct vmt_trace_dir dir;
	char absent[192];

	(void)state;
	assert_int_equal(vmt_trace_dir_open(&dir, "no-slash"), -EINVAL);
	assert_int_equal(vmt_trace_dir_open(&dir, "/tmp/"), -EINVAL);
	snprintf(absent, sizeof(absent), "%s/absent/one.vmt", base);
	assert_int_equal(vmt_trace_dir_open(&dir, absent), -ENOENT);
	assert_int_equal(dir.directory, -1);
	vmt_trace_dir_close(&dir);
	assert_int_equal(vmt_trace_dir_open(&dir, "/one.vmt"), 0);
	assert_string_equal(dir.name, "one.vmt");
	vmt_trace_dir_close(&dir);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_directory_may_be_moved_meanwhile),
	    TEST(a_link_is_not_the_file),
	    TEST(a_file_that_was_left_behind_is_made_anew),
	    TEST(a_file_with_another_name_is_left_alone),
	    TEST(two_files_change_names),
	    TEST(what_names_no_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
