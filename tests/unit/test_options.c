#include "tools/cmd/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { OUTPUT, ONLY, ONCE, VERBOSE, QUIET, PID };

static const struct vmt_option table[] = {
    {"output", 'o', "FILE", ""},
    {"only", 0, "GLOBS", ""},
    {"once", 0, "N", ""},
    {"verbose", 'v', NULL, ""},
    {"quiet", 'q', NULL, ""},
    {"pid", 'p', "PID,...", ""},
    {0},
};

static struct vmt_options options;
static struct vmt_err err;

#define PARSE(in_order, ...) parse(in_order, (const char *const[]){"cmd", __VA_ARGS__, NULL})

static char words[16][64];
static char *argv[17];

static int
parse(bool in_order, const char *const *given)
{
	int argc = 0;

	err.text[0] = '\0';
	for (; given[argc]; argc++) {
		assert_true(strlen(given[argc]) < sizeof(words[0]));
		strcpy(words[argc], given[argc]);
		argv[argc] = words[argc];
	}
	argv[argc] = NULL;
	return vmt_options_parse(&options, table, argc, argv, in_order, &err);
}

static void
every_way_to_write_a_value(void **state)
{
	(void)state;
	assert_int_equal(PARSE(false, "--output", "a"), 0);
	assert_string_equal(options.values[OUTPUT], "a");
	assert_int_equal(PARSE(false, "--output=b"), 0);
	assert_string_equal(options.values[OUTPUT], "b");
	assert_int_equal(PARSE(false, "-o", "c"), 0);
	assert_string_equal(options.values[OUTPUT], "c");
	assert_int_equal(PARSE(false, "-od"), 0);
	assert_string_equal(options.values[OUTPUT], "d");
	assert_int_equal(PARSE(false, "--output="), 0);
	assert_string_equal(options.values[OUTPUT], "");
	assert_int_equal(PARSE(false, "--outp", "e"), 0);
	assert_string_equal(options.values[OUTPUT], "e");
	assert_int_equal(PARSE(false, "--output", "--only"), 0);
	assert_string_equal(options.values[OUTPUT], "--only");
	assert_int_equal(PARSE(false, "-vqo", "f"), 0);
	assert_string_equal(options.values[OUTPUT], "f");
	assert_non_null(options.values[VERBOSE]);
	assert_non_null(options.values[QUIET]);
	assert_null(options.values[ONLY]);
}

static void
one_may_be_given_several_times(void **state)
{
	(void)state;
	assert_int_equal(PARSE(true, "-p", "1", "-p2", "-o", "a", "--pid=3", "-o", "b"), 0);
	assert_int_equal(options.repeated_count, 3);
	assert_string_equal(options.repeated[0], "1");
	assert_string_equal(options.repeated[1], "2");
	assert_string_equal(options.repeated[2], "3");
	assert_string_equal(options.values[PID], "3");
	assert_string_equal(options.values[OUTPUT], "b");
}

static void
but_not_without_end(void **state)
{
	static char option[] = "-p1";
	char *many[VMT_OPTIONS_REPEATED_MAX + 3] = {option};

	(void)state;
	for (int i = 1; i <= VMT_OPTIONS_REPEATED_MAX; i++)
		many[i] = option;
	assert_int_equal(
	    vmt_options_parse(&options, table, VMT_OPTIONS_REPEATED_MAX + 1, many, true, &err), 0);
	assert_int_equal(options.repeated_count, VMT_OPTIONS_REPEATED_MAX);
	for (int i = 1; i <= VMT_OPTIONS_REPEATED_MAX + 1; i++)
		many[i] = option;
	assert_int_equal(
	    vmt_options_parse(&options, table, VMT_OPTIONS_REPEATED_MAX + 2, many, true, &err),
	    -EINVAL);
	assert_non_null(strstr(err.text, "-p is given more than 64 times"));
}

static void
wrong_ones_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(PARSE(false, "--bogus"), -EINVAL);
	assert_non_null(strstr(err.text, "unknown option --bogus"));
	assert_int_equal(PARSE(false, "-x"), -EINVAL);
	assert_non_null(strstr(err.text, "-x"));
	assert_int_equal(PARSE(false, "-vx"), -EINVAL);
	assert_int_equal(PARSE(false, "--on", "1"), -EINVAL);
	assert_non_null(strstr(err.text, "--only"));
	assert_non_null(strstr(err.text, "--once"));
	assert_int_equal(PARSE(false, "--output"), -EINVAL);
	assert_non_null(strstr(err.text, "FILE"));
	assert_int_equal(PARSE(false, "-o"), -EINVAL);
	assert_int_equal(PARSE(false, "--verbose=1"), -EINVAL);
	assert_int_equal(PARSE(false, "---"), -EINVAL);
	assert_int_equal(PARSE(false, "--=x"), -EINVAL);
}

static void
operands_lie_together(void **state)
{
	(void)state;
	assert_int_equal(PARSE(false, "a", "-v", "b", "--only", "x", "-", "c"), 0);
	assert_int_equal(options.operand_count, 4);
	assert_string_equal(options.operands[0], "a");
	assert_string_equal(options.operands[1], "b");
	assert_string_equal(options.operands[2], "-");
	assert_string_equal(options.operands[3], "c");
	assert_string_equal(options.values[ONLY], "x");
	assert_int_equal(PARSE(false, "a", "--", "-v", "--bogus"), 0);
	assert_int_equal(options.operand_count, 3);
	assert_string_equal(options.operands[1], "-v");
	assert_null(options.values[VERBOSE]);
}

static void
in_order_the_command_keeps_its_own_options(void **state)
{
	(void)state;
	assert_int_equal(PARSE(true, "-v", "ls", "-q", "--", "x"), 0);
	assert_int_equal(options.operand_count, 4);
	assert_string_equal(options.operands[0], "ls");
	assert_string_equal(options.operands[1], "-q");
	assert_string_equal(options.operands[2], "--");
	assert_null(options.values[QUIET]);
	assert_int_equal(PARSE(true, "-v", "--", "-q"), 0);
	assert_int_equal(options.operand_count, 1);
	assert_string_equal(options.operands[0], "-q");
	/* execvp needs the end of the list. */
	assert_null(options.operands[options.operand_count]);
}

static void
words_are_chosen_or_listed(void **state)
{
	static const char *const list[] = {"text", "json", NULL};

	(void)state;
	err.text[0] = '\0';
	assert_int_equal(vmt_options_choose("--format", "json", list, &err), 1);
	assert_int_equal(vmt_options_choose("--format", "xml", list, &err), -EINVAL);
	assert_string_equal(err.text, "--format: 'xml' is not one of text, json");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_way_to_write_a_value),
	    cmocka_unit_test(one_may_be_given_several_times),
	    cmocka_unit_test(but_not_without_end),
	    cmocka_unit_test(wrong_ones_are_told_apart),
	    cmocka_unit_test(operands_lie_together),
	    cmocka_unit_test(in_order_the_command_keeps_its_own_options),
	    cmocka_unit_test(words_are_chosen_or_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
