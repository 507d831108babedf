/* twice.c: see twice.h. */
#include "tests/e2e/twice.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VARIABLES_MAX 8

struct difference {
	const char *beginning; /* of lines that may come with the library; NULL: none */
	size_t lines;
};

void
twice_set_up(void)
{
	prefer_system_programs();
	setenv("D", scratch(), 1);
	setenv("S", script_file(""), 1);
	setenv("LC_ALL", "C", 1);
	assert_int_equal(chmod(scratch(), 01777), 0);
}

/* The variables are not for timeout and env: they would leave traces, too. */
void
twice_run(struct run *run, const char *script, const char *const variables[])
{
	const char *argv[VARIABLES_MAX + 9] = {"timeout", "-k", "1", "200", "env"};
	size_t count = 5;

	for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
		assert_true(i < VARIABLES_MAX);
		argv[count++] = variables[i];
	}
	argv[count++] = "sh";
	argv[count++] = "-c";
	argv[count] = script;
	run_program(run, argv, NULL);
}

bool
twice_succeeds(const char *script)
{
	struct run run;

	twice_run(&run, script, NULL);
	bool success = run.exit_status == 0;

	run_free(&run);
	return success;
}

/* Reads and removes what a script left. */
static size_t
check_traces(const char *what)
{
	glob_t found;
	size_t count;

	if (glob(scratch_file("twice.*.vmt"), 0, NULL, &found) != 0)
		return 0;
	count = found.gl_pathc;
	for (size_t i = 0; i < count; i++) {
		json_t *root = report(found.gl_pathv[i], NULL);

		check_report(root);
		if (number(member(root, "loss"), "events_dropped") != 0 ||
		    number(member(root, "loss"), "cut_bytes") != 0)
			fail_msg("%s: %s", what, found.gl_pathv[i]);
		json_decref(root);
		unlink(found.gl_pathv[i]);
	}
	globfree(&found);
	return count;
}

/* Takes lines that begin so out of a text; returns how many. */
static size_t
take_lines(char *text, const char *beginning)
{
	size_t count = 0;

	while (*text != '\0') {
		char *end = strchr(text, '\n');
		char *next = end != NULL ? end + 1 : text + strlen(text);

		if (strncmp(text, beginning, strlen(beginning)) == 0) {
			memmove(text, next, strlen(next) + 1);
			count++;
		} else {
			text = next;
		}
	}
	return count;
}

static void
expect_same(const char *what, const struct run *watched, const struct run *bare)
{
	if (watched->wait_status != bare->wait_status || watched->out_bytes != bare->out_bytes ||
	    memcmp(watched->out, bare->out, bare->out_bytes) != 0 ||
	    strcmp(watched->err, bare->err) != 0)
		fail_msg("%s\nstatus %x: %s%s\nbare %x: %s%s", what, (unsigned)watched->wait_status,
			 watched->out, watched->err, (unsigned)bare->wait_status, bare->out,
			 bare->err);
}

static size_t
compare(const char *script, const char *ours, const char *preload, struct difference *difference)
{
	char output[4096];
	char us[4096];
	char loaded[4096];
	struct run bare;
	struct run watched;

	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", scratch_file("twice.%n.%p.vmt"));
	snprintf(us, sizeof(us), "OURS=%s", ours);
	snprintf(loaded, sizeof(loaded), "LD_PRELOAD=%s", preload);
	twice_run(&bare, script, (const char *const[]){"OURS=", NULL});
	twice_run(&watched, script,
		  (const char *const[]){output, us, "VMTRACE_MALLOC=all", loaded, NULL});
	if (difference->beginning != NULL)
		difference->lines = take_lines(watched.err, difference->beginning);
	expect_same(script, &watched, &bare);
	if (bare.exit_status != 3)
		fail_msg("%s\nstatus %x: %s%s", script, (unsigned)bare.wait_status, bare.out,
			 bare.err);
	run_free(&bare);
	run_free(&watched);
	return check_traces(script);
}

size_t
twice_compare(const char *script)
{
	struct difference none = {0};

	return compare(script, "", built("libvmtrace.so"), &none);
}

size_t
twice_compare_preloading(const char *script, const char *ours)
{
	struct difference none = {0};

	return compare(script, ours, "", &none);
}

size_t
twice_compare_said(const char *script, const char *beginning, size_t *lines)
{
	struct difference difference = {.beginning = beginning};
	size_t count = compare(script, "", built("libvmtrace.so"), &difference);

	*lines = difference.lines;
	return count;
}
