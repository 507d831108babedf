/*
 * test_touch_counts.c: are the page faults of a process known, and only as long as they are?
 */
#include "collect/touch_counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 300u

static pid_t child;
static int stat_fd;

static int
set_up(void **state)
{
	char path[64];

	(void)state;
	child = fork();
	if (child == 0)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d/stat", child);
	stat_fd = open(path, O_RDONLY | O_CLOEXEC);
	return child < 0 || stat_fd < 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close(stat_fd);
	if (child > 0)
		kill(child, SIGKILL);
	return 0;
}

static void
end_child(void)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	child = 0;
}

static void
test_faults_since_the_beginning(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	volatile char *pages;
	struct vmt_touch_counts counts;
	int own = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(own >= 0);
	pages =
	    mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(pages != MAP_FAILED);
	assert_int_equal(madvise((void *)(uintptr_t)pages, PAGES * page, MADV_NOHUGEPAGE), 0);
	vmt_touch_counts_begin(&counts, own);
	assert_true(counts.known);
	assert_int_equal(counts.minor, 0);
	for (size_t i = 0; i < PAGES; i++)
		pages[i * page] = 1;
	vmt_touch_counts_read(&counts, own);
	assert_true(counts.known);
	assert_in_range(counts.minor, PAGES, PAGES + 100);
	munmap((void *)(uintptr_t)pages, PAGES * page);
	close(own);
}

/* It was killed: what it has had since the last look is not known. */
static void
test_the_end_comes_between_two_looks(void **state)
{
	struct vmt_touch_counts counts;

	(void)state;
	vmt_touch_counts_begin(&counts, stat_fd);
	vmt_touch_counts_read(&counts, stat_fd);
	assert_true(counts.known);
	end_child();
	vmt_touch_counts_read(&counts, stat_fd);
	assert_false(counts.known);
}

static void
test_the_end_was_said(void **state)
{
	struct vmt_touch_counts counts;

	(void)state;
	vmt_touch_counts_begin(&counts, stat_fd);
	vmt_touch_counts_read(&counts, stat_fd);
	counts.is_final = true;
	end_child();
	vmt_touch_counts_read(&counts, stat_fd);
	assert_true(counts.known);
}

static void
test_no_descriptor(void **state)
{
	struct vmt_touch_counts counts;

	(void)state;
	vmt_touch_counts_begin(&counts, -1);
	vmt_touch_counts_read(&counts, -1);
	assert_false(counts.known);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_faults_since_the_beginning),
	    TEST(test_the_end_comes_between_two_looks),
	    TEST(test_the_end_was_said),
	    TEST(test_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
