/* C code that Go code called: a stripped build has no names of it, and Go's functions pair it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/diff_fixture.h"

#define GLUE " runtime.asmcgocall runtime.cgocall main._Cfunc_grab"

static struct pair world;

/* How two stacks are matched; -1: not at all. */
static int
match_of(const char *a, const char *b)
{
	struct vmt_diff *diff;
	int match;

	pair_begin(&world);
	pair_site(&world.a, "malloc", a, MIB(1), MIB(1));
	pair_site(&world.b, "malloc", b, MIB(1), MIB(1));
	diff = pair_diff(&world);
	match = diff->site_count == 1 ? (int)diff->sites[0].match : -1;
	vmt_diff_free(diff);
	return match;
}

static void
go_pairs_what_has_no_names(void **state)
{
	(void)state;
	assert_int_equal(match_of("grab _cgo_1_Cfunc_grab" GLUE " main.f main.main",
				  "? ?" GLUE " main.f main.main"),
			 VMT_DIFF_GO);
	assert_int_equal(match_of("? ?" GLUE " main.f main.main",
				  "grab _cgo_1_Cfunc_grab" GLUE " main.f main.main"),
			 VMT_DIFF_GO);
}

/* Names that differ are not the same, and what cgo writes is no name of the program's. */
static void
names_keep_c_functions_apart(void **state)
{
	(void)state;
	assert_int_equal(match_of("grab" GLUE " main.f main.main", "keep" GLUE " main.f main.main"),
			 -1);
	assert_int_equal(match_of("?" GLUE " main.f main.main", "?" GLUE " main.g main.h"), -1);
	assert_int_equal(match_of("?" GLUE " main.f main.g main.a", "?" GLUE " main.f main.g x.b"),
			 VMT_DIFF_INNERMOST);
}

/* As many rows as Go callers, however many C functions each of them calls. */
static void
callers_have_rows_of_their_own(void **state)
{
	struct vmt_diff *diff;

	(void)state;
	pair_begin(&world);
	pair_site(&world.a, "malloc", "?" GLUE " main.f", MIB(1), MIB(1));
	pair_site(&world.a, "malloc", "?" GLUE " main.g", MIB(1), MIB(1));
	pair_site(&world.b, "malloc", "grab" GLUE " main.f", MIB(2), MIB(2));
	pair_site(&world.b, "malloc", "other" GLUE " main.f", MIB(2), MIB(2));
	pair_site(&world.b, "malloc", "grab" GLUE " main.g", MIB(2), MIB(2));
	diff = pair_diff(&world);
	assert_int_equal(diff->site_count, 2);
	assert_int_equal(diff->sites[0].committed_bytes.b, MIB(4));
	assert_int_equal(diff->sites[0].committed_bytes.a, MIB(1));
	assert_int_equal(diff->sites[0].member_count, 3);
	assert_int_equal(diff->sites[1].committed_bytes.b, MIB(2));
	assert_int_equal(diff->sites[1].member_count, 2);
	vmt_diff_free(diff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(go_pairs_what_has_no_names),
	    cmocka_unit_test(names_keep_c_functions_apart),
	    cmocka_unit_test(callers_have_rows_of_their_own),
	};

	return cmocka_run_group_tests_name("diff cgo", tests, NULL, NULL);
}
