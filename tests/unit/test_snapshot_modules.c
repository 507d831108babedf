/* Which files a process has loaded: of this process, and of one that names what is no file. */
#include "tools/cmd/snapshot_modules.h"

#include "base/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static bool
is_found(const char *path)
{
	struct vmt_snapshot_modules modules;
	bool found = false;

	vmt_snapshot_modules_find(&modules, (uint32_t)getpid());
	for (size_t i = 0; i < modules.all_count; i++)
		found = found || strcmp(modules.all[i].path, path) == 0;
	vmt_snapshot_modules_free(&modules);
	return found;
}

static void
program_path(char path[4096])
{
	ssize_t length = readlink("/proc/self/exe", path, 4095);

	assert_true(length > 0);
	path[length] = '\0';
}

/* A shell can start it so; then no child is left to be waited for. */
static void
an_ignored_sigchld_does_not_keep_it_waiting(void **state)
{
	char path[4096];

	(void)state;
	program_path(path);
	assert_true(is_found(path));
	assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	(void)is_found(path);
	assert_true(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

static void
copy_program(const char *to)
{
	char command[8192];
	char path[4096];

	program_path(path);
	snprintf(command, sizeof(command), "cp '%s' '%s'", path, to);
	assert_int_equal(system(command), 0);
}

/* Of a file that is gone maps shows the name with " (deleted)": here a pipe has that name. */
static void
a_pipe_in_place_of_a_file_is_not_opened(void **state)
{
	char directory[] = "/tmp/vmtrace-modules-XXXXXX";
	char event[512];
	char path[64];
	char pipe_path[80];
	void *mapped;
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int fd;

	(void)state;
	assert_true(watch >= 0);
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	snprintf(pipe_path, sizeof(pipe_path), "%s (deleted)", path);
	copy_program(path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(fd >= 0 && mapped != MAP_FAILED);
	close(fd);
	assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
	assert_true(is_found(path));
	assert_true(read(watch, event, sizeof(event)) > 0); /* an open is seen */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	while (read(watch, event, sizeof(event)) > 0)
		continue;
	assert_true(inotify_add_watch(watch, pipe_path, IN_OPEN) >= 0);
	assert_false(is_found(pipe_path));
	assert_true(read(watch, event, sizeof(event)) < 0 && errno == EAGAIN);
	munmap(mapped, 4096);
	close(watch);
	assert_int_equal(unlink(pipe_path), 0);
	assert_int_equal(rmdir(directory), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_ignored_sigchld_does_not_keep_it_waiting),
	    cmocka_unit_test(a_pipe_in_place_of_a_file_is_not_opened),
	};

	vmt_pages_set_size((uint32_t)sysconf(_SC_PAGESIZE));
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
