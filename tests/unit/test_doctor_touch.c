/* What the doctor says of page faults, where the kernel permits them and where a filter refuses. */
#include "collect/touch_events.h"
#include "tools/cmd/doctor.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* As a container's profile does: perf_event_open fails, all else goes on. */
static void
refuse(int error)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(2);
}

static void
have_no_descriptors(int unused)
{
	struct rlimit limit = {3, 3};

	(void)unused;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		_exit(2);
}

static void
change_nothing(int unused)
{
	(void)unused;
}

/* Its line, by a child to which something was done before. */
static void
ask(void (*prepare)(int), int argument, char *said, size_t room)
{
	int ends[2];
	int status;
	ssize_t length = 0;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct vmt_doctor doctor = {.layout = {.out = stdout, .columns = 1000}};

		dup2(ends[1], STDOUT_FILENO);
		closefrom(3);
		prepare(argument);
		vmt_doctor_touch(&doctor);
		fflush(stdout);
		_exit(doctor.lacks == 0 ? 0 : 1);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + length, room - 1 - (size_t)length)) > 0)
		length += got;
	said[length] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
a_filter_is_told_with_its_remedy(void **state)
{
	static const int errors[] = {EPERM, ENOSYS};
	char said[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		ask(refuse, errors[i], said, sizeof(said));
		assert_non_null(strstr(said, "page faults can't be sampled (--touch)"));
		assert_non_null(strstr(said, strerror(errors[i])));
		assert_non_null(strstr(said, "--cap-add PERFMON"));
		assert_non_null(strstr(said, "seccompProfile"));
		assert_null(strstr(said, "perf_event_paranoid"));
	}
}

static void
what_the_kernel_forbids_is_told_with_its_setting(void **state)
{
	char said[4096];

	(void)state;
	ask(refuse, EACCES, said, sizeof(said));
	assert_non_null(strstr(said, "page faults can't be sampled (--touch)"));
	assert_non_null(strstr(said, "kernel.perf_event_paranoid is "));
	assert_non_null(strstr(said, "CAP_PERFMON"));
	assert_null(strstr(said, "Docker"));
}

static void
too_few_descriptors_are_told(void **state)
{
	struct vmt_touch_events events;
	char said[4096];

	(void)state;
	if (vmt_touch_events_probe(&events) < 0) {
		printf("skip: no perf events here\n");
		skip();
	}
	ask(have_no_descriptors, 0, said, sizeof(said));
	assert_non_null(strstr(said, "page faults can't be sampled (--touch)"));
	assert_non_null(strstr(said, "ulimit -n"));
}

/* It says what an event of this process gets. */
static void
what_is_permitted_is_told(void **state)
{
	struct vmt_touch_events events;
	char said[4096];

	(void)state;
	if (vmt_touch_events_probe(&events) < 0) {
		printf("skip: no perf events here\n");
		skip();
	}
	ask(change_nothing, 0, said, sizeof(said));
	assert_non_null(strstr(said, "page faults can be sampled (--touch)"));
	if (events.kernel)
		assert_non_null(strstr(said, "also those in system calls"));
	else
		assert_non_null(strstr(said, "but not those in system calls"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_filter_is_told_with_its_remedy),
	    cmocka_unit_test(what_the_kernel_forbids_is_told_with_its_setting),
	    cmocka_unit_test(too_few_descriptors_are_told),
	    cmocka_unit_test(what_is_permitted_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
