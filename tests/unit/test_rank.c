#include "tools/render/rank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/report_fixture.h"

static void
each_figure_has_its_order(void **state)
{
	static const uint32_t first[] = {
	    [VMT_RANK_COMMITTED] = 2, [VMT_RANK_GAP] = 1,	[VMT_RANK_NEVER_TOUCHED] = 1,
	    [VMT_RANK_RESERVED] = 1,  [VMT_RANK_RELEASED] = 2,	[VMT_RANK_COUNT] = 0,
	    [VMT_RANK_LEAKED] = 2,    [VMT_RANK_TEMPORARY] = 2,
	};
	struct vmt_report report = fixture_report();

	(void)state;
	for (unsigned by = 0; vmt_rank_words[by]; by++) {
		const struct vmt_site **sites = vmt_rank_sites(&report, (enum vmt_rank_by)by);

		assert_non_null(sites);
		assert_int_equal(sites[0]->stack_id, first[by]);
		for (size_t i = 1; i < report.site_count; i++)
			assert_true(vmt_rank_figure(sites[i - 1], (enum vmt_rank_by)by) >=
				    vmt_rank_figure(sites[i], (enum vmt_rank_by)by));
		free(sites);
	}
	report.site_count = 0;
	assert_null(vmt_rank_sites(&report, VMT_RANK_GAP));
}

static void
more_committed_than_reserved_is_no_gap(void **state)
{
	struct vmt_site site = {.committed_bytes = 8192, .reserved_bytes = 4096};

	(void)state;
	assert_int_equal(vmt_rank_figure(&site, VMT_RANK_GAP), 0);
}

static size_t
owner_of(const char *const (*frames)[2], size_t count, size_t *depth)
{
	static char texts[8][2][64];
	struct vmt_frame rows[8];
	struct vmt_stack_frames stack = {rows, count};

	memset(rows, 0, sizeof(rows));
	for (size_t i = 0; i < count; i++) {
		strcpy(texts[i][0], frames[i][0]);
		strcpy(texts[i][1], frames[i][1]);
		rows[i].function = texts[i][0];
		rows[i].module = texts[i][1];
	}
	*depth = vmt_rank_depth(&stack);
	return vmt_rank_owner(&stack);
}

static void
the_owner_is_the_programs_own_frame(void **state)
{
	static const char *const cpp[][2] = {
	    {"operator new(unsigned long)", "/usr/lib/libstdc++.so.6"},
	    {"std::vector<int>::reserve", "/srv/app"},
	    {"app::fill", "/srv/app"},
	    {"main", "/srv/app"},
	    {"__libc_start_main_impl", "/lib/libc.so.6"},
	    {"_start", "/srv/app"},
	};
	static const char *const libc[][2] = {
	    {"fopen", "/lib/libc.so.6"},
	    {"start_thread", "/lib/libc.so.6"},
	};
	static const char *const templates[][2] = {
	    {"malloc", "/lib/libc.so.6"},
	    {"std::thread::run", "/srv/app"},
	    {"start_thread", "/lib/libc.so.6"},
	};
	static const char *const go[][2] = {
	    {"x_cgo_mmap", "/srv/app"},	      {"runtime.mmap", "/srv/app"},
	    {"runtime.mallocgc", "/srv/app"}, {"main.fill", "/srv/app"},
	    {"main.main", "/srv/app"},
	};
	struct vmt_stack_frames none = {NULL, 0};
	size_t depth;

	(void)state;
	assert_int_equal(owner_of(cpp, 6, &depth), 2);
	assert_int_equal(depth, 4);
	assert_int_equal(owner_of(libc, 2, &depth), 0);
	assert_int_equal(depth, 2);
	assert_int_equal(owner_of(templates, 3, &depth), 1);
	assert_int_equal(depth, 2);
	assert_int_equal(owner_of(go, 5, &depth), 3);
	assert_int_equal(vmt_rank_owner(&none), 0);
	assert_int_equal(vmt_rank_depth(&none), 0);
}

/* Code of the standard libraries that was compiled into the program is known by its source. */
static void
library_sources_are_no_owners(void **state)
{
	static const char *const sources[] = {
	    "/usr/include/c++/12/bits/new_allocator.h",
	    "/rustc/0123abcd/library/alloc/src/raw_vec/mod.rs",
	    "/rust/deps/hashbrown-0.15.2/src/raw/mod.rs",
	    "library/std/src/thread/mod.rs",
	};
	char module[] = "/srv/app";
	char function[] = "allocate";
	char own[] = "/srv/src/library/fill.rs";
	char file[128];

	(void)state;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct vmt_frame frames[2] = {
		    {.function = function, .module = module, .file = file},
		    {.function = function, .module = module, .file = own},
		};
		struct vmt_stack_frames stack = {frames, 2};

		strcpy(file, sources[i]);
		assert_int_equal(vmt_rank_owner(&stack), 1);
	}
}

/* C code of a stripped Go program: the Go function that called it says more than addresses. */
static void
nameless_c_code_of_a_go_program_is_no_owner(void **state)
{
	static char module[] = "/srv/app";
	static char *const stacks[][6] = {
	    {NULL, "runtime.callCgoMmap", "runtime.mmap", "runtime.sysMap", "runtime.(*mheap).grow",
	     "main.leak"},
	    {NULL, NULL, "runtime.asmcgocall", "runtime.cgocall", "main._Cfunc_grab", "main.leak"},
	    {NULL, NULL, NULL, "runtime.asmcgocall", "main._Cfunc_grab", "main.leak"},
	    /* what has a name keeps it, and what is no Go program's too */
	    {"grab", NULL, "runtime.asmcgocall", "runtime.cgocall", "main._Cfunc_grab",
	     "main.leak"},
	    {NULL, NULL, "fill", "run", "main", "_start"},
	};
	static const size_t owners[] = {5, 5, 5, 0, 0};

	(void)state;
	for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		struct vmt_frame frames[6];
		struct vmt_stack_frames stack = {frames, 6};

		for (size_t j = 0; j < 6; j++)
			frames[j] = (struct vmt_frame){.function = stacks[i][j],
						       .module = module,
						       .module_offset = 16 * j + 1};
		assert_int_equal(vmt_rank_owner(&stack), owners[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_figure_has_its_order),
	    cmocka_unit_test(more_committed_than_reserved_is_no_gap),
	    cmocka_unit_test(the_owner_is_the_programs_own_frame),
	    cmocka_unit_test(nameless_c_code_of_a_go_program_is_no_owner),
	    cmocka_unit_test(library_sources_are_no_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
