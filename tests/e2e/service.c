#include "tests/e2e/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const no_options[] = {NULL};

/* A directory with a program and what it loads; the program. */
const char *
service_install(const char *name)
{
	const char *place = scratch_file(name);
	static char program[4096];

	shell("mkdir -p %s", place);
	shell("cp %s %s/service", built("tests/target/dlopen_loop"), place);
	shell("cp %s %s/", built("tests/target/plugin_small"), place);
	snprintf(program, sizeof(program), "%s/service", place);
	return program;
}

void
service_record(const char *program, const char *trace)
{
	const char *const argv[] = {program, "20", NULL};
	struct run run;

	record(&run, trace, no_options, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

/* What a command prints of traces; to be freed. */
char *
service_say(const char *const words[])
{
	const char *argv[16] = {built("vmtrace")};
	struct run run;
	char *text;

	for (size_t i = 0; words[i]; i++) {
		assert_true(i + 2 < sizeof(argv) / sizeof(*argv));
		argv[i + 1] = words[i];
	}
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s %s: status %d: %s", words[0], words[1], run.exit_status, run.err);
	text = strdup(run.out);
	run_free(&run);
	return text;
}

/* Text and JSON of a trace at several moments, and all that is in it. */

void
service_ask(const char *trace, char *answers[SERVICE_ANSWERS])
{
	answers[0] =
	    service_say((const char *[]){"report", trace, "-n", "1000", "--frames", "50", NULL});
	answers[1] = service_say((const char *[]){"report", trace, "--at", "end", NULL});
	answers[2] =
	    service_say((const char *[]){"report", trace, "--at", "peak", "-n", "1000", NULL});
	answers[3] = service_say((const char *[]){"report", trace, "-f", "json", NULL});
	answers[4] = service_say((const char *[]){"dump", trace, "-f", "json", "--stacks", NULL});
}

/* A report's JSON without what says that the trace is packed. */
static json_t *
without_packed(const char *text)
{
	json_t *report = json_loads(text, 0, NULL);

	assert_non_null(report);
	json_object_del(report, "trace");
	return report;
}

void
service_compare(char *wanted[SERVICE_ANSWERS], char *got[SERVICE_ANSWERS])
{
	for (size_t i = 0; i < SERVICE_ANSWERS; i++) {
		if (i == 3) {
			json_t *a = without_packed(wanted[i]);
			json_t *b = without_packed(got[i]);

			assert_true(json_equal(a, b));
			json_decref(a);
			json_decref(b);
		} else {
			assert_string_equal(wanted[i], got[i]);
		}
	}
}

void
service_forget(char *answers[SERVICE_ANSWERS])
{
	for (size_t i = 0; i < SERVICE_ANSWERS; i++)
		free(answers[i]);
}

static bool
names(const char *text, const char *line)
{
	return says(text, line) != NULL;
}

void
service_expect_names(const char *const words[], bool of_program, bool of_plugin)
{
	char *text = service_say(words);

	assert_int_equal(names(text, "dlopen_loop.c:"), of_program);
	assert_int_equal(names(text, "plugin_small.c:"), of_plugin);
	free(text);
}
