#include "inject/session_member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct vmt_session *session;

static void *
map(int flags)
{
	int fd = memfd_create("session", MFD_CLOEXEC);
	void *memory;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(struct vmt_session)), 0);
	memory = mmap(NULL, sizeof(struct vmt_session), PROT_READ | PROT_WRITE, flags, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	close(fd);
	return memory;
}

static int
set_up(void **state)
{
	(void)state;
	session = map(MAP_SHARED);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return munmap(session, sizeof(*session));
}

/* A child that waits for its end. It has unmapped the session where `without`. */
static pid_t
start_child(bool without)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (without && munmap(session, sizeof(*session)) != 0)
			_exit(1);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void
end_child(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
who_has_it_mapped_is_one(void **state)
{
	pid_t child = start_child(false);

	(void)state;
	assert_true(vmt_session_member_is(session, getpid()));
	assert_true(vmt_session_member_is(session, child));
	end_child(child);
}

static void
who_has_not_is_none(void **state)
{
	pid_t child = start_child(true);

	(void)state;
	assert_false(vmt_session_member_is(session, child));
	end_child(child);
	assert_false(vmt_session_member_is(session, child));
	assert_false(vmt_session_member_is(session, 1));
}

/* Private memory of a file is nobody else's, nor is memory of no file. */
static void
what_is_not_shared_has_no_members(void **state)
{
	struct vmt_session *private = map(MAP_PRIVATE);
	void *memory = malloc(sizeof(struct vmt_session));

	(void)state;
	assert_non_null(memory);
	assert_false(vmt_session_member_is(private, getpid()));
	assert_false(vmt_session_member_is(memory, getpid()));
	free(memory);
	munmap(private, sizeof(*private));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(who_has_it_mapped_is_one, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_has_not_is_none, set_up, tear_down),
	    cmocka_unit_test(what_is_not_shared_has_no_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
