/* One function names a reserver or a toucher, and its callers where others have the same one. */
#include "tools/render/touch_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FRAMES 3
#define CALLERS 2

static char program[] = "/bin/program";
static char wrapper[] = "wrapper";
static char outer[] = "outer";
static char text[256];

static struct vmt_stack_frames
stack_of(struct vmt_frame frames[FRAMES], char *first, char *second, char *third)
{
	char *const names[FRAMES] = {first, second, third};

	for (size_t i = 0; i < FRAMES; i++)
		frames[i] = (struct vmt_frame){.function = names[i], .module = program};
	return (struct vmt_stack_frames){frames, FRAMES};
}

static struct vmt_site
site_of(struct vmt_frame frames[FRAMES], char *first, char *second, uint64_t bytes)
{
	return (struct vmt_site){.kind = "mmap",
				 .class = "mmap",
				 .committed_bytes = bytes,
				 .stack = stack_of(frames, first, second, outer)};
}

static void
assert_reserver(const struct vmt_report *report, size_t site, size_t callers, const char *wanted)
{
	assert_ptr_equal(
	    vmt_touch_names_reserver(report, &report->sites[site], callers, text, sizeof(text)),
	    text);
	assert_string_equal(text, wanted);
}

static void
test_a_reserver_of_its_own_is_one_name(void **state)
{
	struct vmt_frame frames[3][FRAMES];
	struct vmt_site sites[] = {site_of(frames[0], "build", "main", 100),
				   site_of(frames[1], wrapper, "main", 100),
				   site_of(frames[2], wrapper, "other", 0)};
	struct vmt_report report = {.sites = sites, .site_count = 3};

	(void)state;
	assert_reserver(&report, 0, CALLERS, "build (program)");
	/* The other one of that name has nothing. */
	assert_reserver(&report, 1, CALLERS, "wrapper (program)");
}

static void
test_a_wrapper_is_told_by_its_callers(void **state)
{
	struct vmt_frame frames[3][FRAMES];
	struct vmt_site sites[] = {site_of(frames[0], wrapper, "load", 100),
				   site_of(frames[1], wrapper, "store", 100),
				   site_of(frames[2], wrapper, "store", 100)};
	struct vmt_report report = {.sites = sites, .site_count = 3};

	(void)state;
	assert_reserver(&report, 0, CALLERS, "wrapper (program) <- load");
	/* The same shown frames are one row. */
	assert_reserver(&report, 1, CALLERS, "wrapper (program) <- store");
	/* Rows that show no caller are one, too. */
	assert_reserver(&report, 0, 0, "wrapper (program)");
}

static void
test_as_many_callers_as_it_takes(void **state)
{
	struct vmt_frame frames[2][FRAMES];
	struct vmt_site sites[] = {site_of(frames[0], wrapper, "load", 100),
				   site_of(frames[1], wrapper, "load", 100)};
	struct vmt_report report = {.sites = sites, .site_count = 2};

	(void)state;
	sites[1].stack.frames[2].function = program;
	assert_reserver(&report, 0, CALLERS, "wrapper (program) <- load <- outer");
	assert_reserver(&report, 0, 1, "wrapper (program)");
}

static void
assert_toucher(const struct vmt_stack_frames *stack, const struct vmt_stack_frames *other,
	       const char *wanted)
{
	assert_ptr_equal(vmt_touch_names_toucher(stack, other, CALLERS, text, sizeof(text)), text);
	assert_string_equal(text, wanted);
}

static void
test_touchers_of_one_name_are_told_apart(void **state)
{
	struct vmt_frame frames[3][FRAMES];
	const struct vmt_stack_frames fill = stack_of(frames[0], "fill", "load", outer);
	const struct vmt_stack_frames same = stack_of(frames[1], "fill", "store", outer);
	const struct vmt_stack_frames other = stack_of(frames[2], "clear", "store", outer);
	const struct vmt_stack_frames none = {NULL, 0};

	(void)state;
	assert_toucher(&fill, NULL, "fill");
	assert_toucher(&fill, &other, "fill");
	assert_toucher(&fill, &same, "fill <- load");
	assert_toucher(&same, &fill, "fill <- store");
	/* As far as rows show them. */
	assert_toucher(&fill, &fill, "fill <- load <- outer");
	assert_toucher(&none, &fill, "code without a stack");
	assert_toucher(&fill, &none, "fill");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_reserver_of_its_own_is_one_name),
	    cmocka_unit_test(test_a_wrapper_is_told_by_its_callers),
	    cmocka_unit_test(test_as_many_callers_as_it_takes),
	    cmocka_unit_test(test_touchers_of_one_name_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
