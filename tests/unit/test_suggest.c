/* Which of the known words did somebody mean? */
#include "tools/cmd/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *
nearest(const char *written)
{
	static const char *const words[] = {"record", "report", "diff", "dump", "doctor"};
	static struct vmt_suggest suggest;

	suggest = vmt_suggest_begin(written, strlen(written));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		vmt_suggest_offer(&suggest, words[i]);
	return suggest.word;
}

static void
a_letter_or_two_are_forgiven(void **state)
{
	(void)state;
	assert_string_equal(nearest("reprot"), "report"); /* swapped */
	assert_string_equal(nearest("recrd"), "record");  /* left out */
	assert_string_equal(nearest("dumpp"), "dump");	  /* put in */
	assert_string_equal(nearest("dofter"), "doctor"); /* changed, twice */
	assert_string_equal(nearest("dif"), "diff");
}

static void
expect_offer(const char *value, const char *told)
{
	static const char *const words[] = {"on", "off", "all", "pagemap-scan", NULL};
	struct vmt_err err = {""};
	int result = vmt_suggest_value(value, strlen(value), words,
				       vmt_err_set(&err, 22, "--x: '%s' is nothing", value), &err);

	assert_int_equal(result, -22);
	assert_string_equal(strchr(err.text, ';') ? strchr(err.text, ';') : "", told);
}

/* Of two words as near, the one that goes on where the value ends. */
static void
values_are_offered_words(void **state)
{
	(void)state;
	expect_offer("of", "; did you mean off?");
	expect_offer("al", "; did you mean all?");
	expect_offer("ALL", "; did you mean all?");
	expect_offer("pagemapscan", "; did you mean pagemap-scan?");
	expect_offer("never", "");
	expect_offer("", "");
}

static void
what_is_far_from_all_means_none(void **state)
{
	char longest[300];

	(void)state;
	assert_string_equal(nearest("start"), "");
	assert_string_equal(nearest(""), "");
	assert_string_equal(nearest("x"), "");
	memset(longest, 'r', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_string_equal(nearest(longest), "");
}

static void
a_number_is_a_process(void **state)
{
	struct vmt_err err = {""};

	(void)state;
	assert_false(vmt_suggest_process("12x", &err));
	assert_false(vmt_suggest_process("", &err));
	assert_false(vmt_suggest_process("12345678901", &err));
	assert_true(vmt_suggest_process("4294967295", &err));
	assert_non_null(strstr(err.text, "vmtrace doctor 4294967295"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_letter_or_two_are_forgiven),
	    cmocka_unit_test(values_are_offered_words),
	    cmocka_unit_test(what_is_far_from_all_means_none),
	    cmocka_unit_test(a_number_is_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
