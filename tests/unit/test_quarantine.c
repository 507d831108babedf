/*
 * test_quarantine.c: is a trace left out that killed or held its reader, and no other?
 */
#include "tools/serve/quarantine.h"

#include "tests/unit/trace_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR_NS (3600 * INT64_C(1000000000))

static struct vmt_quarantine *quarantine;
static char blamed[VMT_QUARANTINE_PATH_BYTES];

static int
set_up(void **state)
{
	(void)state;
	quarantine = vmt_quarantine_new();
	return quarantine ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_quarantine_free(quarantine);
	return 0;
}

/* A process that reads, and is lost while it does. */
static void
lose(const char *path, bool leaves)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (vmt_quarantine_enter(quarantine, path) && leaves)
			vmt_quarantine_leave(quarantine);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
}

static bool
is_let_in(const char *path)
{
	bool is = vmt_quarantine_enter(quarantine, path);

	vmt_quarantine_leave(quarantine);
	return is;
}

static void
what_was_read_is_left_out(void **state)
{
	(void)state;
	lose("/a\nb", false);
	assert_true(vmt_quarantine_blame(quarantine, 0, blamed));
	assert_string_equal(blamed, "/a?b");
	assert_false(is_let_in("/a\nb"));
	assert_true(is_let_in("/c"));
	lose("/a\nb", false); /* does not begin: nothing is to blame */
	assert_false(vmt_quarantine_blame(quarantine, 0, blamed));
}

static void
what_was_read_whole_is_not(void **state)
{
	(void)state;
	lose("/a", true);
	assert_false(vmt_quarantine_blame(quarantine, 0, blamed));
	assert_true(is_let_in("/a"));
}

static void
what_was_read_for_a_short_time_did_not_hold_it(void **state)
{
	(void)state;
	lose("/a", false);
	assert_false(vmt_quarantine_blame(quarantine, HOUR_NS, blamed));
	assert_true(is_let_in("/a"));
	assert_false(vmt_quarantine_blame(quarantine, 0, blamed)); /* that was long ago */
}

/* Another file of the same name is not the one that is left out. */
static void
a_new_file_is_let_in(void **state)
{
	char other[sizeof(trace_file_path) + 8];

	(void)state;
	snprintf(other, sizeof(other), "%s.other", trace_file_path);
	fclose(fopen(trace_file_path, "we"));
	fclose(fopen(other, "we"));
	lose(trace_file_path, false);
	assert_true(vmt_quarantine_blame(quarantine, 0, blamed));
	assert_string_equal(blamed, trace_file_path);
	assert_false(is_let_in(trace_file_path));
	assert_int_equal(rename(other, trace_file_path), 0);
	assert_true(is_let_in(trace_file_path));
}

static void
the_oldest_makes_room(void **state)
{
	char path[32];

	(void)state;
	for (unsigned i = 0; i <= VMT_QUARANTINE_MOST; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		assert_true(vmt_quarantine_enter(quarantine, path));
		assert_true(vmt_quarantine_blame(quarantine, 0, blamed));
	}
	assert_true(is_let_in("/0"));
	assert_false(is_let_in("/1"));
	assert_false(is_let_in(path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_read_is_left_out, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_was_read_whole_is_not, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_was_read_for_a_short_time_did_not_hold_it, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_new_file_is_let_in, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_oldest_makes_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, trace_file_begin, trace_file_end);
}
