/*
 * test_why.c: does the clause that says why say the error in words?
 */
#include "inject/why.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
an_error_is_said_in_words(void **state)
{
	static const int errors[] = {EPERM,  ESRCH,  EIO,    E2BIG,	ENOMEM, EFAULT,
				     EBUSY,  EEXIST, EINVAL, ETIMEDOUT, ERANGE, EBADMSG,
				     ENOSPC, ENOSYS, ENOENT, EDEADLK};
	char why[VMT_WHY_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		assert_false(vmt_why_put(why, "it can't be", -errors[i]));
		assert_true(strncmp(why, "it can't be: ", 13) == 0 && islower(why[13]));
		assert_int_equal(strcspn(why, "0123456789("), strlen(why));
	}
	(void)vmt_why_put(why, "it can't be", -ETIMEDOUT);
	assert_string_equal(why, "it can't be: its time was up");
}

static void
one_that_is_not_known_is_said_as_a_number(void **state)
{
	char why[VMT_WHY_BYTES];

	(void)state;
	(void)vmt_why_put(why, "it can't be", -EXDEV);
	assert_string_equal(why, "it can't be: the kernel's error 18");
	(void)vmt_why_put(why, "it can't be", 0);
	assert_string_equal(why, "it can't be");
}

static void
a_long_one_is_cut(void **state)
{
	char what[VMT_WHY_BYTES + 10], why[VMT_WHY_BYTES];

	(void)state;
	memset(what, 'x', sizeof(what) - 1);
	what[sizeof(what) - 1] = '\0';
	(void)vmt_why_put(why, what, -EIO);
	assert_true(strnlen(why, sizeof(why)) < sizeof(why));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_error_is_said_in_words),
	    cmocka_unit_test(one_that_is_not_known_is_said_as_a_number),
	    cmocka_unit_test(a_long_one_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
