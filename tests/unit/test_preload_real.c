#include "preload/libc/real.h"

#include "capture/core/guard.h"
#include "preload/libc/elf_lookup.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As a call of malloc from within dlsym finds it. */
static const struct vmt_real *
table_while_resolving(void)
{
	const struct vmt_real *table;

	vmt_thread_mine()->resolving = 1;
	table = vmt_real_resolve_slow();
	vmt_thread_mine()->resolving = 0;
	return table;
}

static void
next_definitions_are_libcs(void **state)
{
	const struct vmt_real *real = vmt_real();
	void *block;

	(void)state;
	assert_ptr_equal(real, &vmt_real_table);
	assert_ptr_equal((void *)real->malloc, dlsym(RTLD_DEFAULT, "malloc"));
	assert_ptr_equal((void *)real->sbrk, dlsym(RTLD_DEFAULT, "sbrk"));
	assert_null(real->mmap);
	block = real->malloc(100);
	assert_non_null(block);
	assert_false(vmt_real_arena_owns(block));
	real->free(block);
}

static void
looking_up_leaves_no_error_behind(void **state)
{
	(void)state;
	(void)dlerror();
	errno = 77;
	(void)vmt_real_resolve_slow();
	assert_int_equal(errno, 77);
	assert_null(vmt_real_find("no_such_symbol_anywhere"));
	assert_null(dlerror());
}

static void
the_arena_serves_the_loader(void **state)
{
	const struct vmt_real *table = table_while_resolving();
	unsigned char *block = table->malloc(33);
	unsigned char *zeroed = table->calloc(7, 9);
	unsigned char *grown;

	(void)state;
	assert_true(vmt_real_arena_owns(block) && vmt_real_arena_owns(zeroed));
	assert_int_equal((uintptr_t)block % 16, 0);
	assert_int_equal((uintptr_t)zeroed % 16, 0);
	assert_int_equal(vmt_real_arena_size(block), 33);
	for (int i = 0; i < 63; i++)
		assert_int_equal(zeroed[i], 0);
	memset(block, 'x', 33);
	grown = table->realloc(block, 100);
	assert_ptr_not_equal(grown, block);
	for (int i = 0; i < 33; i++)
		assert_int_equal(grown[i], 'x');
	table->free(block);
	assert_ptr_not_equal(table->malloc(33), block);
}

static void
a_full_arena_says_so(void **state)
{
	const struct vmt_real *table = table_while_resolving();
	unsigned char *last = NULL;
	unsigned char *block;
	size_t count = 0;

	(void)state;
	assert_null(table->malloc(SIZE_MAX));
	assert_null(table->malloc(VMT_ARENA_BYTES));
	assert_null(table->calloc(SIZE_MAX / 2, 3));
	while ((block = table->malloc(1000)) != NULL) {
		assert_true(vmt_real_arena_owns(block) && vmt_real_arena_owns(block + 999));
		assert_true(!last || block >= last + 1000);
		last = block;
		count++;
	}
	assert_in_range(count, 64, VMT_ARENA_BYTES / 1000);
}

/* Which may be NULL: nobody defines some of the names. */
static void
the_search_agrees_with_dlsym(void **state)
{
	static const char *const names[] = {
#define VMT_HOOK(name, family, result, parameters) #name,
#include "preload/libc/hooks.def"
#undef VMT_HOOK
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_ptr_equal(vmt_elf_lookup_find(names[i], true), dlsym(RTLD_NEXT, names[i]));
	assert_non_null(vmt_elf_lookup_find("malloc", false));
	/* glibc chooses its strlen by the CPU. */
	assert_ptr_equal(vmt_elf_lookup_find("strlen", true), dlsym(RTLD_NEXT, "strlen"));
	assert_null(vmt_elf_lookup_find("no_such_symbol_anywhere", false));
	assert_null(vmt_elf_lookup_find("cfree", true));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(next_definitions_are_libcs),
	    cmocka_unit_test(looking_up_leaves_no_error_behind),
	    cmocka_unit_test(the_arena_serves_the_loader),
	    cmocka_unit_test(a_full_arena_says_so),
	    cmocka_unit_test(the_search_agrees_with_dlsym),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
