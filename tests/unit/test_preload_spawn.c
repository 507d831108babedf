#include "preload/trace/spawn.h"

#include "base/sys.h"
#include "preload/trace/close_descriptors.h"
#include "preload/trace/own_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define HIGHEST 200
#define NO_LEAVE 77

/* The file that this code is in, any other, none. */
static void
knows_its_own_file(void **state)
{
	(void)state;
	assert_true(vmt_own_file_is("/proc/self/exe"));
	assert_false(vmt_own_file_is("/bin/true"));
	assert_false(vmt_own_file_is("/proc/self/status"));
	assert_false(vmt_own_file_is("/nonexistent"));
}

/* As a kernel before 5.9. */
static bool
refuse_close_range(void)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 436, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* As many as there may be, the highest of them among these. */
static void
open_all(void)
{
	struct rlimit limit = {HIGHEST + 1, HIGHEST + 1};

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(1);
	while (dup(1) >= 0)
		;
	if (errno != EMFILE)
		_exit(2);
}

static bool
is_any_open(int first)
{
	for (int fd = first; fd <= HIGHEST; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return true;
	return false;
}

static bool
hide_proc(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/proc", "tmpfs", 0, NULL) == 0;
}

static int
status_of_child(bool old_kernel, bool no_proc, int first)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (no_proc && !hide_proc())
			_exit(NO_LEAVE);
		open_all();
		if (old_kernel && !refuse_close_range())
			_exit(3);
		vmt_close_descriptors_from(first);
		if (first > 0 && fcntl(first - 1, F_GETFD) < 0)
			_exit(5);
		_exit(is_any_open(first) ? 4 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
leaves_no_descriptor_open(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) {
		assert_int_equal(status_of_child(false, false, first), 0);
		assert_int_equal(status_of_child(true, false, first), 0);
	}
}

static void
leaves_none_open_without_proc(void **state)
{
	int status;

	(void)state;
	status = status_of_child(true, true, 0);
	if (status == NO_LEAVE)
		skip();
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(knows_its_own_file),
	    cmocka_unit_test(leaves_no_descriptor_open),
	    cmocka_unit_test(leaves_none_open_without_proc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
