/*
 * test_file_view.c: can a file be shortened while it is read?
 */
#include "inject/file_view.h"

#include "tools/cmd/shortened_files.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES 3u

static size_t page_bytes;

/* Its bytes are all 7. */
static int
make_file(void)
{
	char name[] = "/tmp/test_file_view.XXXXXX";
	int fd = mkstemp(name);
	char *bytes = malloc(PAGES * page_bytes);

	assert_true(fd >= 0);
	assert_non_null(bytes);
	unlink(name);
	memset(bytes, 7, PAGES * page_bytes);
	assert_int_equal(write(fd, bytes, PAGES * page_bytes), PAGES * page_bytes);
	free(bytes);
	return fd;
}

static int
set_up(void **state)
{
	(void)state;
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	return 0;
}

/* As main does; cmocka has its own handler in each test. */
static void
survive(void)
{
	signal(SIGBUS, SIG_DFL);
	vmt_shortened_files_survive();
}

static void
what_is_gone_reads_as_zeros(void **state)
{
	int fd = make_file();
	struct vmt_file file = vmt_file_view_open(fd, PAGES * page_bytes);

	(void)state;
	survive();
	assert_int_equal(file.length, PAGES * page_bytes);
	assert_int_equal(ftruncate(fd, (off_t)page_bytes), 0);
	assert_int_equal(file.bytes[0], 7);
	assert_int_equal(file.bytes[page_bytes + 5], 0);
	assert_int_equal(file.bytes[PAGES * page_bytes - 1], 0);
	vmt_file_view_close(&file);
	close(fd);
}

static void
too_large_or_none(void **state)
{
	int fd = make_file();

	(void)state;
	assert_int_equal(vmt_file_view_open(fd, PAGES * page_bytes - 1).length, 0);
	assert_int_equal(vmt_file_view_open(-1, UINT64_MAX).length, 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(vmt_file_view_open(fd, UINT64_MAX).length, 0);
	close(fd);
}

static void
a_view_that_is_closed_makes_room(void **state)
{
	int fd = make_file();

	(void)state;
	for (unsigned i = 0; i < 2 * VMT_FILE_VIEWS; i++) {
		struct vmt_file file = vmt_file_view_open(fd, UINT64_MAX);

		assert_int_equal(file.length, PAGES * page_bytes);
		vmt_file_view_close(&file);
		assert_false(vmt_file_view_fill((uint64_t)(uintptr_t)file.bytes));
	}
	close(fd);
}

/* Whoever maps it otherwise learns of it. */
static void
another_mapping_ends_by_it(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_core = {0, 0};
		int fd = make_file();
		volatile const char *bytes =
		    mmap(NULL, PAGES * page_bytes, PROT_READ, MAP_PRIVATE, fd, 0);

		setrlimit(RLIMIT_CORE, &no_core);
		survive();
		if (ftruncate(fd, 0) != 0)
			_exit(2);
		_exit(bytes[0]);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_gone_reads_as_zeros),
	    cmocka_unit_test(too_large_or_none),
	    cmocka_unit_test(a_view_that_is_closed_makes_room),
	    cmocka_unit_test(another_mapping_ends_by_it),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
