#include "base/prealloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

static bool
has_all_blocks(int fd, uint64_t bytes)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (uint64_t)status.st_size == bytes &&
	       (uint64_t)status.st_blocks * 512 >= bytes;
}

static void
gives_every_block(void **state)
{
	int fd = memfd_create("room", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(vmt_prealloc_take(fd, MIB), 0);
	assert_true(has_all_blocks(fd, MIB));
	close(fd);
}

/* In a child: SIGXFSZ would end it. */
static void
never_meets_the_limit_on_file_sizes(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct rlimit limit = {MIB - 1, MIB - 1};
		int fd = memfd_create("room", MFD_CLOEXEC);

		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(vmt_prealloc_take(fd, MIB) == -EFBIG && vmt_prealloc_take(fd, MIB / 2) == 0
			  ? 7
			  : 8);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void
ignore(int number)
{
	(void)number;
}

/* A timer that comes again before a call of tmpfs can end. */
static void
goes_on_through_signals(void **state)
{
	struct sigaction action = {.sa_handler = ignore};
	struct itimerval often = {{0, 100}, {0, 100}};
	struct itimerval never = {{0, 0}, {0, 0}};
	int fd = memfd_create("room", MFD_CLOEXEC);

	(void)state;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	int result = vmt_prealloc_take(fd, 64 * MIB);

	setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(result, 0);
	assert_true(has_all_blocks(fd, 64 * MIB));
	close(fd);
}

static void
passes_errors_on(void **state)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(vmt_prealloc_take(-1, MIB), -EBADF);
	assert_true(vmt_prealloc_take(fd, MIB) < 0);
	close(fd);
}

/* What is left out of a file in memory can be had later; elsewhere all is there at once. */
static void
leaves_a_gap_in_memory(void **state)
{
	bool left_out = false;
	void *base = NULL;
	struct stat status;
	int fd = memfd_create("room", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(vmt_prealloc_map_around(fd, 4 * MIB, MIB, 3 * MIB, &base, &left_out), 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, 4 * MIB);
	assert_int_equal((uint64_t)status.st_blocks * 512, left_out ? 2 * MIB : 4 * MIB);
	if (left_out) {
		assert_int_equal(vmt_prealloc_back((char *)base + MIB, MIB), 0);
		assert_int_equal(fstat(fd, &status), 0);
		assert_int_equal((uint64_t)status.st_blocks * 512, 3 * MIB);
	}
	munmap(base, 4 * MIB);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(vmt_prealloc_map_around(fd, 4 * MIB, 3 * MIB, MIB, &base, &left_out), 0);
	assert_false(left_out);
	assert_true(has_all_blocks(fd, 4 * MIB));
	munmap(base, 4 * MIB);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_every_block),
	    cmocka_unit_test(never_meets_the_limit_on_file_sizes),
	    cmocka_unit_test(goes_on_through_signals),
	    cmocka_unit_test(passes_errors_on),
	    cmocka_unit_test(leaves_a_gap_in_memory),
	};

	return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
