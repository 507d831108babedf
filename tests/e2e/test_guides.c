/*
 * test_guides.c: do the guides say what the command says?
 *
 * What `vmtrace env` prints stands in the guide to containers, line for line, and its Dockerfile in
 * README.md. Run in the root of the sources, as all tests are.
 */
#include "tests/e2e/documented.h"
#include "tests/e2e/harness.h"

#include <stdlib.h>
#include <string.h>

/* From the line that begins with `first` to the next empty one, or the end. */
static char *
paragraph(const char *text, const char *first)
{
	const char *at = says(text, first);
	const char *end;

	assert_non_null(at);
	assert_true(at == text || at[-1] == '\n');
	end = strstr(at, "\n\n");
	return strndup(at, end != NULL ? (size_t)(end + 1 - at) : strlen(at));
}

static void
test_container_lines(void **state)
{
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){built("vmtrace"), "env", NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, built("libvmtrace.so")));
	char *dockerfile = paragraph(run.out, "COPY lib");
	char *pod = paragraph(run.out, "# Pod");

	check_quoted(dockerfile, "docs/howto-containers.md");
	check_quoted(dockerfile, "README.md");
	check_quoted(pod, "docs/howto-containers.md");
	free(dockerfile);
	free(pod);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_container_lines),
	};

	return cmocka_run_group_tests_name("guides", tests, NULL, NULL);
}
