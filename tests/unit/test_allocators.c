/* By which names is an allocator known? */
#include "tools/model/attribute/allocators.h"

#include "format/allocator_code.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *
of_library(const char *path)
{
	return vmt_allocators_of_library(path, strlen(path));
}

static void
a_library_is_known_by_the_last_part_of_its_path(void **state)
{
	(void)state;
	assert_string_equal(of_library("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"), "jemalloc");
	assert_string_equal(of_library("libtcmalloc_minimal.so.4.5.10"), "tcmalloc");
	assert_string_equal(of_library("/opt/libmimalloc.so.2.0 (deleted)"), "mimalloc");
	assert_null(of_library("/usr/lib/x86_64-linux-gnu/libc.so.6"));
	assert_null(of_library("/libjemalloc.so.2/server"));
	assert_null(of_library(""));
	assert_null(vmt_allocators_of_library("libjemalloc.so", 8)); /* no more than was said */
}

static void
functions_of_allocators_that_are_linked_statically_are_known(void **state)
{
	(void)state;
	assert_string_equal(vmt_allocators_of_function("os_pages_map.constprop.0"), "jemalloc");
	assert_string_equal(vmt_allocators_of_function("je_pages_map"), "jemalloc");
	assert_string_equal(vmt_allocators_of_function("_rjem_je_pages_map"), "jemalloc");
	assert_string_equal(
	    vmt_allocators_of_function("(anonymous namespace)::MmapSysAllocator::Alloc"),
	    "tcmalloc");
	assert_string_equal(vmt_allocators_of_function("_mi_os_alloc_aligned"), "mimalloc");
	assert_null(vmt_allocators_of_function("mi_open")); /* MyISAM's */
	assert_null(vmt_allocators_of_function("je"));
	assert_null(vmt_allocators_of_function("main"));
	assert_null(vmt_allocators_of_function(""));
}

/* What the collector looks for in a program's file, and what a report looks for in names. */
static void
both_sides_know_the_same_names(void **state)
{
	static const struct vmt_allocator_prefix known[] = VMT_ALLOCATOR_PREFIXES;

	(void)state;
	for (size_t i = 0; known[i].symbol; i++) {
		assert_true(strlen(known[i].allocator) <
			    sizeof(((struct vmt_allocator_code *)NULL)->name));
		if (strncmp(known[i].symbol, "_Z", 2) != 0)
			assert_string_equal(vmt_allocators_of_function(known[i].symbol),
					    known[i].allocator);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_library_is_known_by_the_last_part_of_its_path),
	    cmocka_unit_test(functions_of_allocators_that_are_linked_statically_are_known),
	    cmocka_unit_test(both_sides_know_the_same_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
