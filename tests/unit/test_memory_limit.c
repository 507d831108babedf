/* In a memory cgroup, what a hostile trace makes us take ends before the kernel ends us. */
#include "tests/sanitized.h"
#include "tests/unit/figure_file.h"
#include "tools/memory_limit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_BYTES (UINT64_C(64) << 20)

static char cgroup[128];

static bool
write_number(const char *name, uint64_t number)
{
	return figure_file_write(cgroup, name, "", number);
}

static bool
make_cgroup(const char *hierarchy, const char *limit)
{
	snprintf(cgroup, sizeof(cgroup), "%s/vmtrace-bounds-%d", hierarchy, (int)getpid());
	if (mkdir(cgroup, 0755) != 0)
		return false;
	if (write_number(limit, LIMIT_BYTES))
		return true;
	rmdir(cgroup);
	return false;
}

/* How many MiB can be had; at most twice the limit. */
static int
take_memory(void)
{
	int taken = 0;

	for (; taken < (int)(LIMIT_BYTES >> 19); taken++) {
		char *bytes = malloc(1 << 20);

		if (!bytes)
			break;
		memset(bytes, 1, 1 << 20);
	}
	return taken;
}

static void
a_cgroups_limit_is_respected(void **state)
{
	pid_t child;
	int status;

	(void)state;
	if (!make_cgroup("/sys/fs/cgroup/memory", "memory.limit_in_bytes") &&
	    !make_cgroup("/sys/fs/cgroup", "memory.max")) {
		printf("skip: no memory cgroup that may be written\n");
		skip();
	}
	child = fork();
	if (child == 0) {
		if (!write_number("cgroup.procs", (uint64_t)getpid()) ||
		    vmt_memory_limit_available() != LIMIT_BYTES)
			_exit(255);
		vmt_memory_limit_set_machine();
		_exit(SANITIZED ? 40 : take_memory());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	while (rmdir(cgroup) != 0)
		usleep(1000);
	assert_true(WIFEXITED(status)); /* not killed */
	assert_in_range(WEXITSTATUS(status), 32, 48);
}

static void
a_lower_limit_stays(void **state)
{
	uint64_t available = vmt_memory_limit_available();
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(available > 0);
	if (child == 0) {
		vmt_memory_limit_set(UINT64_C(16) << 20);
		vmt_memory_limit_set_machine();
		_exit(SANITIZED ? 12 : take_memory());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_in_range(WEXITSTATUS(status), 8, 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_cgroups_limit_is_respected),
	    cmocka_unit_test(a_lower_limit_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
