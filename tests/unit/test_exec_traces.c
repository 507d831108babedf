#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/cmd/exec_traces.h"

static char directory[] = "/tmp/vmt-images-XXXXXX";

static const char *const names[] = {"a.vmt",	  "a.77.vmt", "a.77.1.vmt", "a.77.2.vmt",
				    "a.77.4.vmt", "b.88.vmt", "bare",	    "bare.9.vmt"};

#define NAMES (sizeof(names) / sizeof(names[0]))

static int
set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory) || chdir(directory) != 0)
		return -1;
	for (size_t i = 0; i < NAMES; i++) {
		FILE *file = fopen(names[i], "w");

		if (!file || fclose(file) != 0)
			return -1;
	}
	return 0;
}

static int
tear_down(void **state)
{
	int result = 0;

	(void)state;
	for (size_t i = 0; i < NAMES; i++)
		result |= unlink(names[i]);
	return result | chdir("/") | rmdir(directory);
}

static void
check(const char *path, uint32_t pid, const char *next, const char *last)
{
	struct vmt_exec_traces images;

	vmt_exec_traces_find(&images, path, pid);
	assert_string_equal(images.next, next);
	assert_string_equal(images.last, last);
}

static void
follows_the_names_that_the_library_gives(void **state)
{
	char path[64];
	char next[64];

	(void)state;
	check("a.vmt", 77, "a.77.vmt", "a.77.2.vmt");
	check("a.77.vmt", 77, "a.77.1.vmt", "a.77.2.vmt");
	check("a.77.1.vmt", 77, "a.77.2.vmt", "a.77.2.vmt");
	check("a.77.2.vmt", 77, "", "");
	check("a.vmt", 78, "", "");
	check("b.88.vmt", 88, "", "");
	check("bare", 9, "bare.9.vmt", "bare.9.vmt");
	snprintf(path, sizeof(path), "%s/bare", directory);
	snprintf(next, sizeof(next), "%s/bare.9.vmt", directory);
	check(path, 9, next, next);
}

static void
a_name_may_be_of_any_length(void **state)
{
	static char path[2 * VMT_EXEC_TRACES_PATH_BYTES];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	check(path, 1, "", "");
	check("", 1, "", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(follows_the_names_that_the_library_gives),
	    cmocka_unit_test(a_name_may_be_of_any_length),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
