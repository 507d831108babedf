#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/err.h"

static void
returns_the_negative_code_and_the_message(void **state)
{
	struct vmt_err err = {""};

	(void)state;
	assert_int_equal(vmt_err_set(&err, ENOENT, "%s: line %d", "file", 7), -ENOENT);
	assert_string_equal(err.text, "file: line 7");
}

static void
keeps_the_first_message(void **state)
{
	struct vmt_err err = {""};

	(void)state;
	vmt_err_set(&err, ENOENT, "precise");
	assert_int_equal(vmt_err_set(&err, EIO, "vague"), -EIO);
	assert_string_equal(err.text, "precise");
}

static void
cuts_what_does_not_fit(void **state)
{
	struct vmt_err err = {""};
	char path[2000];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	vmt_err_set(&err, EIO, "%s", path);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void
a_message_is_one_line_without_controls(void **state)
{
	struct vmt_err err = {""};

	(void)state;
	vmt_err_set(&err, EIO, "%s: bad", "a\nb\033[31m\177\tc");
	assert_string_equal(err.text, "a?b?[31m??c: bad");
}

static void
a_message_keeps_letters_and_loses_what_steers(void **state)
{
	struct vmt_err err = {""};

	(void)state;
	/* e acute; U+009B, a control in two bytes; a stray byte; U+202E turns text round */
	vmt_err_set(&err, EIO, "%s", "\xc3\xa9|\xc2\x9b|\xff|\xe2\x80\xae|");
	assert_string_equal(err.text, "\xc3\xa9|??|?|???|");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(returns_the_negative_code_and_the_message),
	    cmocka_unit_test(a_message_keeps_letters_and_loses_what_steers),
	    cmocka_unit_test(keeps_the_first_message),
	    cmocka_unit_test(cuts_what_does_not_fit),
	    cmocka_unit_test(a_message_is_one_line_without_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
