/*
 * test_late_answer.c: who asks for metrics while the next ones take long gets the last ones, and
 * sees how old they are.
 */
#include "tools/export/fleet_metrics.h"
#include "tools/serve/late_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NS_PER_S INT64_C(1000000000)

static const char metrics[] = "a 1\n" VMT_FLEET_END;

static void
test_the_age_is_said(void **state)
{
	struct vmt_late_answer late = {.bytes = NULL};
	size_t length = 0;
	char *text;

	(void)state;
	assert_false(vmt_late_answer_is_there(&late, 0));
	assert_null(vmt_late_answer_text(&late, 0, &length));
	vmt_late_answer_keep(&late, metrics, sizeof(metrics) - 1, 10 * NS_PER_S);
	text = vmt_late_answer_text(&late, 22 * NS_PER_S + 34000000, &length);
	assert_non_null(text);
	assert_int_equal(length, strlen(text));
	assert_string_equal(text, "a 1\nvmtrace_answer_age_seconds 12.034\n# EOF\n");
	free(text);
	assert_true(vmt_late_answer_is_there(&late, 10 * NS_PER_S + VMT_LATE_ANSWER_MOST_NS));
	assert_false(vmt_late_answer_is_there(&late, 11 * NS_PER_S + VMT_LATE_ANSWER_MOST_NS));
	assert_null(vmt_late_answer_text(&late, 11 * NS_PER_S + VMT_LATE_ANSWER_MOST_NS, &length));
	vmt_late_answer_free(&late);
	assert_false(vmt_late_answer_is_there(&late, 10 * NS_PER_S));
}

/* What does not end as metrics do is no answer whose age could be put in. */
static void
test_no_other_text_is_kept(void **state)
{
	struct vmt_late_answer late = {.bytes = NULL};

	(void)state;
	vmt_late_answer_keep(&late, "", 0, 0);
	vmt_late_answer_keep(&late, metrics, sizeof(metrics) - 2, 0);
	vmt_late_answer_keep(&late, "out of memory, and more than that, in one line\n", 47, 0);
	assert_false(vmt_late_answer_is_there(&late, 0));
}

/* There has to be one, and whoever asked must have waited. */
static void
test_when_it_is_given(void **state)
{
	struct vmt_late_answer late = {.bytes = NULL};
	int64_t asked_ns = 60 * NS_PER_S;
	int64_t late_ns = asked_ns + VMT_LATE_ANSWER_AFTER_NS;

	(void)state;
	assert_false(vmt_late_answer_is_due(&late, asked_ns, late_ns));
	vmt_late_answer_keep(&late, metrics, sizeof(metrics) - 1, 0);
	assert_false(vmt_late_answer_is_due(&late, asked_ns, late_ns - 1));
	assert_true(vmt_late_answer_is_due(&late, asked_ns, late_ns));
	asked_ns = VMT_LATE_ANSWER_MOST_NS;
	assert_false(vmt_late_answer_is_due(&late, asked_ns, asked_ns + VMT_LATE_ANSWER_AFTER_NS));
	vmt_late_answer_free(&late);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_age_is_said),
	    cmocka_unit_test(test_no_other_text_is_kept),
	    cmocka_unit_test(test_when_it_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
