/* What a trace says of Go's code: ranges of one role, and what damaged ones do. */
#include "format/go_roles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TEXT UINT64_C(0x401000)

static struct vmt_go_code_roles
sample(void)
{
	struct vmt_go_code_roles code = {.text = TEXT, .bytes = 0x400};

	assert_true(vmt_go_roles_add(&code, 0, VMT_GO_ROLE_RUNTIME));
	assert_true(vmt_go_roles_add(&code, 0x80, VMT_GO_ROLE_RUNTIME));
	assert_true(vmt_go_roles_add(&code, 0x100, VMT_GO_ROLE_ARENA));
	assert_true(vmt_go_roles_add(&code, 0x200, VMT_GO_ROLE_OTHER));
	return code;
}

static void
names_have_roles(void **state)
{
	static const struct {
		const char *name;
		enum vmt_go_role role;
	} cases[] = {
	    {"runtime.(*mheap).grow", VMT_GO_ROLE_ARENA},
	    {"runtime.(*mheap).growth", VMT_GO_ROLE_METADATA},
	    {"runtime.sysAlloc", VMT_GO_ROLE_AT_ONCE},
	    {"runtime.mallocgc", VMT_GO_ROLE_RUNTIME},
	    {"runtime.cgocallbackg", VMT_GO_ROLE_TO_C},
	    {"syscall.Syscall6", VMT_GO_ROLE_BY_CALL},
	    {"syscall.(*mmapper).Mmap", VMT_GO_ROLE_OTHER},
	    {"main.main", VMT_GO_ROLE_OTHER},
	    {"x_cgo_mmap", VMT_GO_ROLE_RUNTIME},
	    {"_cgo_0123_Cfunc_grab", VMT_GO_ROLE_CROSSING},
	    {"", VMT_GO_ROLE_CROSSING},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(vmt_go_roles_of_name(cases[i].name, strlen(cases[i].name) + 1),
				 cases[i].role);
	/* The room ends before the name does. */
	assert_int_equal(vmt_go_roles_of_name("runtime.sysAllocX", 16), VMT_GO_ROLE_AT_ONCE);
	assert_int_equal(vmt_go_roles_of_name("main.main", 4), VMT_GO_ROLE_CROSSING);
}

static void
an_address_has_the_role_of_its_range(void **state)
{
	struct vmt_go_code_roles code = sample();

	(void)state;
	assert_true(vmt_go_roles_check(&code));
	assert_int_equal(code.count, 3);
	assert_int_equal(vmt_go_roles_at(&code, TEXT - 1), VMT_GO_ROLE_UNKNOWN);
	assert_int_equal(vmt_go_roles_at(&code, TEXT), VMT_GO_ROLE_RUNTIME);
	assert_int_equal(vmt_go_roles_at(&code, TEXT + 0xff), VMT_GO_ROLE_RUNTIME);
	assert_int_equal(vmt_go_roles_at(&code, TEXT + 0x100), VMT_GO_ROLE_ARENA);
	assert_int_equal(vmt_go_roles_at(&code, TEXT + 0x1ff), VMT_GO_ROLE_ARENA);
	assert_int_equal(vmt_go_roles_at(&code, TEXT + 0x3ff), VMT_GO_ROLE_OTHER);
	assert_int_equal(vmt_go_roles_at(&code, TEXT + 0x400), VMT_GO_ROLE_UNKNOWN);
}

static void
more_ranges_than_fit_tell_nothing(void **state)
{
	struct vmt_go_code_roles code = {.text = TEXT, .bytes = UINT32_MAX};

	(void)state;
	for (uint32_t i = 0; i < VMT_GO_CODE_RANGES; i++)
		assert_true(
		    vmt_go_roles_add(&code, i * 16, i % 2 ? VMT_GO_ROLE_OTHER : VMT_GO_ROLE_ARENA));
	assert_int_equal(vmt_go_roles_at(&code, TEXT + 16), VMT_GO_ROLE_OTHER);
	assert_false(vmt_go_roles_add(&code, VMT_GO_CODE_RANGES * 16, VMT_GO_ROLE_STACK));
	assert_int_equal(vmt_go_roles_at(&code, TEXT + 16), VMT_GO_ROLE_UNKNOWN);
}

static void
damaged_tables_are_not_used(void **state)
{
	struct vmt_go_code_roles code;

	(void)state;
	code = sample();
	code.count = VMT_GO_CODE_RANGES + 1;
	assert_false(vmt_go_roles_check(&code));
	code = sample();
	code.starts[0] = 1;
	assert_false(vmt_go_roles_check(&code));
	code = sample();
	code.starts[2] = code.starts[1];
	assert_false(vmt_go_roles_check(&code));
	code = sample();
	code.roles[1] = VMT_GO_ROLES;
	assert_false(vmt_go_roles_check(&code));
	code.roles[1] = VMT_GO_ROLE_UNKNOWN;
	assert_false(vmt_go_roles_check(&code));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_have_roles),
	    cmocka_unit_test(an_address_has_the_role_of_its_range),
	    cmocka_unit_test(more_ranges_than_fit_tell_nothing),
	    cmocka_unit_test(damaged_tables_are_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
