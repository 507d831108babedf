/*
 * test_attach_obstacle.c: is it seen what keeps the recorder out of a process?
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

#define NAMED(lines) "Name:\tshstk Seccomp:\t2\n" lines

/* What kernels write that this machine's may not: of hardware with shadow stacks, and of states. */
static void
what_status_says_is_understood(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
	    {NAMED("State:\tS (sleeping)\nTracerPid:\t0\nSeccomp:\t0\nx86_Thread_features:\t\n"),
	     ""},
	    {NAMED("State:\tS (sleeping)\nTracerPid:\t0\nSeccomp:\t0\n"
		   "x86_Thread_features:\tshstk \nx86_Thread_features_locked:\tshstk wrss \n"),
	     "it has a shadow stack"},
	    {NAMED("State:\tR (running)\nx86_Thread_features:\twrss shstk \n"),
	     "it has a shadow stack"},
	    {NAMED("State:\tS (sleeping)\nx86_Thread_features:\twrss \n"
		   "x86_Thread_features_locked:\tshstk wrss \n"),
	     ""},
	    {NAMED("State:\tS (sleeping)\nTracerPid:\t4711\n"), "process 4711 traces it"},
	    {NAMED("State:\tZ (zombie)\nTracerPid:\t0\n"), "it has ended"},
	    {NAMED("State:\tX (dead)\nTracerPid:\t0\n"), "it has ended"},
	    {NAMED("State:\tS (sleeping)\nSeccomp:\t2\nSeccomp_filters:\t1\n"),
	     "it has a filter of system calls (seccomp)"},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[VMT_WHY_BYTES] = "";
		bool found =
		    vmt_attach_obstacle_in_status(cases[i].text, strlen(cases[i].text), why);

		assert_string_equal(why, cases[i].why);
		assert_int_equal(found, why[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_library_is_found),
	    cmocka_unit_test(what_status_says_is_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
