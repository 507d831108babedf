#include "tools/render/allocator_wrappers.h"

#include "tools/render/rank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
the_list_is_in_order(void **state)
{
	size_t count;
	const char *const *names = vmt_allocator_wrappers_names(&count);

	(void)state;
	assert_true(count > 100);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			assert_true(strcmp(names[i - 1], names[i]) < 0);
		assert_true(vmt_allocator_wrappers_has(names[i]));
	}
}

static void
names_are_known_as_reports_have_them(void **state)
{
	static const char *const wrappers[] = {
	    "palloc",
	    "palloc0.part.0",
	    "MemoryContextAlloc.constprop.0",
	    "MEM_ROOT::Alloc(unsigned long)",
	    "os::malloc(unsigned long, MEMFLAGS, NativeCallStack const&)",
	    "strings.(*Builder).grow",
	    "_mi_heap_malloc_zero",
	    "sqlite3DbMallocRaw",
	    "_PyObject_GC_New",
	    "__mmap64",
	    "sysmalloc_mmap.isra.0",
	};
	static const char long_name[] =
	    "a_name_that_is_very_long_and_that_goes_on_and_on_and_on_and_on_and_on_and_on_and_on_"
	    "until_it_has_no_room_in_any_buffer_that_holds_the_names_of_the_list";
	static const char *const others[] = {
	    "",
	    "main",
	    "palloc_all_rows",
	    "my_palloc",
	    "_PyObject_MakeTpCall",
	    "Arena::grow_by(int)",
	    "MEM_ROOT",
	    "(anonymous namespace)::palloc",
	    "main.palloc",
	    long_name,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrappers) / sizeof(*wrappers); i++)
		if (!vmt_allocator_wrappers_has(wrappers[i]))
			fail_msg("%s is not known", wrappers[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (vmt_allocator_wrappers_has(others[i]))
			fail_msg("%s is taken for a wrapper", others[i]);
}

/* Of a stack, innermost first: which frame names it? */
static const char *
owner_of(const char *const *functions)
{
	static char texts[8][96];
	struct vmt_frame frames[8];
	struct vmt_stack_frames stack = {frames, 0};

	memset(frames, 0, sizeof(frames));
	for (; functions[stack.count]; stack.count++) {
		strcpy(texts[stack.count], functions[stack.count]);
		frames[stack.count].function = texts[stack.count];
		frames[stack.count].module = texts[7];
	}
	strcpy(texts[7], "/srv/app");
	return frames[vmt_rank_owner(&stack)].function;
}

static void
who_called_the_wrapper_names_the_stack(void **state)
{
	static const char *const postgres[] = {"AllocSetAllocLarge",	 "AllocSetAlloc", "palloc",
					       "tuplesort_begin_common", "main",	  NULL};
	static const char *const redis[] = {"os_pages_map", "pages_map", "zmalloc",
					    "createObject", "main",	 NULL};
	static const char *const cpp[] = {"operator new(unsigned long)",
					  "void std::vector<int>::_M_realloc_insert<int>(int&&)",
					  "cache::fill()", NULL};
	static const char *const go[] = {"runtime.mallocgc", "runtime.growslice",
					 "bytes.growSlice",  "bytes.(*Buffer).grow",
					 "main.load",	     NULL};
	static const char *const alone[] = {"xmalloc", NULL};

	(void)state;
	assert_string_equal(owner_of(postgres), "tuplesort_begin_common");
	assert_string_equal(owner_of(redis), "createObject");
	assert_string_equal(owner_of(cpp), "cache::fill()");
	assert_string_equal(owner_of(go), "main.load");
	/* Nobody else is there to be named. */
	assert_string_equal(owner_of(alone), "xmalloc");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_list_is_in_order),
	    cmocka_unit_test(names_are_known_as_reports_have_them),
	    cmocka_unit_test(who_called_the_wrapper_names_the_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
