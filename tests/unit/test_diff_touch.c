/*
 * test_diff_touch.c: does a diff name who touched what is committed now?
 */
#include "touch_trace.h"

#include "tools/model/diff/diff_build.h"
#include "tools/render/diff_json.h"
#include "tools/render/diff_text.h"

/* As symbols would: a clearing function of the runtime's, called by one that differs. */
static void
name_frames(struct vmt_report *side)
{
	static char clear[] = "memclr";
	static char callers[][8] = {"load", "build"};

	for (size_t i = 0; i < side->committer_count; i++) {
		struct vmt_stack_frames *stack = &side->committers[i].stack;

		if (stack->count != 2)
			continue;
		stack->frames[0].function = clear;
		stack->frames[1].function = callers[stack->frames[1].address == 0x401520];
	}
}

/* 32 MiB reserved in each, of which B touches 24 MiB more by code that A has not. */
static struct vmt_report *
make_side(bool more)
{
	struct vmt_report *side;

	map(10, 8192);
	touch(20, 0, 1024, 0, 1);
	if (more)
		touch(30, 1024, 6144, 1, 1);
	look(50, 8192, more ? 7168 : 1024, 0);
	make_report();
	side = report;
	side->process.pid = more ? 2 : 1; /* of two runs */
	name_frames(side);
	report = NULL;
	build_trace_free(build);
	build = build_trace_new(NULL);
	return side;
}

static void
test_a_diff_names_the_new_toucher(void **state)
{
	struct vmt_report *a = make_side(false);
	struct vmt_report *b = make_side(true);
	struct vmt_diff_text_options options = {
	    .layout = {.columns = 400}, .paths = {"a", "b"}, .top = 12, .callers = 3};
	const struct vmt_diff_json_options json = {.paths = {"a", "b"}, .top = SIZE_MAX};
	struct vmt_diff *diff;
	struct vmt_err err = {""};
	char *text = NULL;
	size_t length;

	(void)state;
	assert_int_equal(vmt_diff_build(&diff, a, b, VMT_AT_END, &err), 0);
	assert_int_equal(diff->touch->site_count, 2);
	assert_int_equal(diff->touch->sites[0].match, VMT_DIFF_NEW);
	assert_int_equal(vmt_diff_delta(&diff->touch->sites[0].committed_bytes), 24 << 20);
	assert_int_equal(vmt_diff_delta(&diff->touch->sites[1].committed_bytes), 0);
	options.layout.out = open_memstream(&text, &length);
	vmt_diff_text_print(diff, &options);
	fclose(options.layout.out);
	expect_in(text, "Reserved flat at 32 MiB, committed +24 MiB (+600 %), first touched by "
			"memclr, nearly all in class mmap");
	expect_in(text, "Committed by, by change");
	expect_in(text, "+24 MiB       0 B    24 MiB  new touch memclr");
	free(text);
	text = NULL;
	options.layout.out = open_memstream(&text, &length);
	assert_int_equal(vmt_diff_json_print(diff, &json, options.layout.out, &err), 0);
	fclose(options.layout.out);
	expect_in(text, "\"committed_by\": [");
	expect_in(text, "\"match\": \"new\"");
	free(text);
	vmt_diff_free(diff);
	vmt_report_free(a);
	vmt_report_free(b);
}

static void
test_a_diff_of_one_side_alone(void **state)
{
	struct vmt_report *a;
	struct vmt_report *b = make_side(true);
	struct vmt_diff_text_options options = {
	    .layout = {.columns = 400}, .paths = {"a", "b"}, .top = 12, .callers = 3};
	struct vmt_diff *diff;
	struct vmt_err err = {""};
	char *text = NULL;
	size_t length;

	(void)state;
	map(10, 8192);
	look(50, 8192, 1024, 0);
	make_report();
	a = report;
	report = NULL;
	assert_int_equal(vmt_diff_build(&diff, a, b, VMT_AT_END, &err), 0);
	assert_null(diff->touch);
	options.layout.out = open_memstream(&text, &length);
	vmt_diff_text_print(diff, &options);
	fclose(options.layout.out);
	expect_in(text, "Who touched memory is known of B alone.");
	assert_null(strstr(text, "first touched"));
	free(text);
	vmt_diff_free(diff);
	vmt_report_free(a);
	vmt_report_free(b);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_diff_names_the_new_toucher),
	    TEST(test_a_diff_of_one_side_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
