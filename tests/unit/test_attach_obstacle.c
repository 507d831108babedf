/*
 * test_attach_obstacle.c: is it seen that the recorder is in a process already?
 */
#include "inject/attach_obstacle.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/vmtrace-obstacle-XXXXXX";

/* What keeps the recorder out of this process; "" where nothing does. */
static const char *
ask(void)
{
	static char why[VMT_WHY_BYTES];
	bool found;

	why[0] = '\0';
	found = vmt_attach_obstacle_find(getpid(), why);
	assert_int_equal(found, why[0] != '\0');
	return why;
}

/* With a file of that name mapped. */
static void
check(const char *name, bool removed, const char *expected)
{
	char path[128];
	void *page;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(page != MAP_FAILED);
	close(fd);
	if (removed)
		unlink(path);
	assert_string_equal(ask(), expected);
	munmap(page, 4096);
	unlink(path);
}

static void
the_library_is_found(void **state)
{
	static const char loaded[] = "it has loaded libvmtrace.so already";

	(void)state;
	if (ask()[0] != '\0')
		skip(); /* a debugger, or a filter of system calls */
	assert_non_null(mkdtemp(directory));
	check("libvmtrace.so", false, loaded);
	check("libvmtrace.so", true, loaded);
	check("libvmtrace.so.1", false, "");
	check("libvmtrace.so.1", true, "");
	assert_int_equal(rmdir(directory), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_library_is_found)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
