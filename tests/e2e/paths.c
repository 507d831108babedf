/* paths.c: where things lie: what was built, what tests run, what they leave (harness.h). */
#include "tests/e2e/harness.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *
built(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 8];
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(length > 0);
	self[length] = '\0';
	/* BUILD/tests/e2e/test_x: three levels up. */
	for (int level = 0; level < 3; level++)
		*strrchr(self, '/') = '\0';
	assert_true(snprintf(path, PATH_MAX, "%s/%s", self, name) < PATH_MAX);
	return path;
}

const char *
script_file(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 8];
	char relative[PATH_MAX];

	snprintf(relative, sizeof(relative), "tests/e2e/scripts/%s", name);
	if (!realpath(relative, path))
		fail_msg("no %s: tests start in the sources' directory", relative);
	return path;
}

static char scratch_path[PATH_MAX];

static void
remove_scratch(void)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", scratch_path);
	if (system(command) != 0)
		fprintf(stderr, "left behind: %s\n", scratch_path);
}

const char *
scratch(void)
{
	if (scratch_path[0] == '\0') {
		const char *base = getenv("TMPDIR");

		snprintf(scratch_path, sizeof(scratch_path), "%s/vmtrace-test-XXXXXX",
			 base != NULL ? base : "/tmp");
		assert_non_null(mkdtemp(scratch_path));
		atexit(remove_scratch);
	}
	return scratch_path;
}

const char *
scratch_file(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 8];

	assert_true(snprintf(path, PATH_MAX, "%s/%s", scratch(), name) < PATH_MAX);
	return path;
}

const char *
variable(const char *name, const char *value)
{
	static char texts[8][PATH_MAX + 64];
	static unsigned next;
	char *text = texts[next++ % 8];

	snprintf(text, sizeof(texts[0]), "%s=%s", name, value);
	return text;
}

const char *
built_for_others(const char *name)
{
	const char *copy = scratch_file(strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
	struct run run;

	assert_int_equal(chmod(scratch(), 01777), 0);
	if (access(copy, F_OK) == 0)
		return copy;
	run_program(&run, (const char *const[]){"install", "-m", "755", built(name), copy, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return copy;
}
