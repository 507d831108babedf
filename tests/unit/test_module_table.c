#include "format/module_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define REGION 4096u

static _Alignas(8) unsigned char region[REGION];
static uint64_t used;

static int
set_up(void **state)
{
	(void)state;
	memset(region, 0, sizeof(region));
	used = 0;
	return 0;
}

static uint32_t
intern(const char *path, const char *build_id)
{
	const struct vmt_module module = {
	    .path = path,
	    .path_bytes = (uint32_t)strlen(path),
	    .build_id = (const unsigned char *)build_id,
	    .build_id_bytes = (uint32_t)strlen(build_id),
	};

	return vmt_module_table_intern(region, REGION, &used, &module);
}

static void
test_interns_by_path_and_build_id(void **state)
{
	uint32_t a = intern("/lib/a.so", "0123456789abcdef");
	uint32_t b = intern("/lib/b.so", "");
	uint32_t c = intern("/lib/a.so", "0123456789abcdeX");
	struct vmt_module module;

	(void)state;
	assert_int_not_equal(a, 0);
	assert_true(a != b && b != c && a != c && b != 0 && c != 0);
	assert_int_equal(intern("/lib/a.so", "0123456789abcdef"), a);
	assert_int_equal(intern("/lib/b.so", ""), b);
	assert_true(vmt_module_table_get(region, used, c, &module));
	assert_int_equal(module.path_bytes, 9);
	assert_memory_equal(module.path, "/lib/a.so", 9);
	assert_int_equal(module.build_id_bytes, 16);
	assert_memory_equal(module.build_id, "0123456789abcdeX", 16);
	assert_true(vmt_module_table_get(region, used, VMT_MODULE_FIRST_ID, &module));
	assert_int_equal(vmt_module_table_next(VMT_MODULE_FIRST_ID, &module), b);
}

static void
test_nameless_module(void **state)
{
	uint32_t id = intern("", "");
	struct vmt_module module;

	(void)state;
	assert_int_not_equal(id, 0);
	assert_int_equal(intern("", ""), id);
	assert_true(vmt_module_table_get(region, used, id, &module));
	assert_int_equal(module.path_bytes, 0);
}

static void
test_full_region(void **state)
{
	char path[16] = "/a";
	uint32_t last = 1, count = 0;

	(void)state;
	for (; last != 0; count++) {
		path[1] = (char)('A' + count % 64);
		path[2] = (char)('A' + count / 64);
		last = intern(path, "id");
		assert_true(used <= REGION);
	}
	assert_true(count > REGION / 64 / 2);
	assert_int_equal(intern("/AA", "id"), 8); /* what is there stays */
}

static void
test_long_values_are_cut(void **state)
{
	static unsigned char large[65536];
	static const char path[VMT_MODULE_PATH_MAX_BYTES + 100] = {'x'};
	const struct vmt_module module = {
	    .path = path,
	    .path_bytes = sizeof(path),
	    .build_id = (const unsigned char *)path,
	    .build_id_bytes = 100,
	};
	struct vmt_module found;
	uint64_t large_used = 0;
	uint32_t id = vmt_module_table_intern(large, sizeof(large), &large_used, &module);

	(void)state;
	assert_true(vmt_module_table_get(large, large_used, id, &found));
	assert_int_equal(found.path_bytes, VMT_MODULE_PATH_MAX_BYTES);
	assert_int_equal(found.build_id_bytes, VMT_BUILD_ID_MAX_BYTES);
	assert_int_equal(vmt_module_table_intern(large, sizeof(large), &large_used, &module), id);
}

/* Whatever the bytes are, what get accepts lies inside the region. */
static void
test_untrusted_region(void **state)
{
	uint32_t id = intern("/lib/some.so", "0123456789");
	unsigned accepted = 0;

	(void)state;
	for (uint32_t byte = 0; byte < used; byte++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct vmt_module module;

			region[byte] ^= (unsigned char)(1u << bit);
			if (vmt_module_table_get(region, used, id, &module)) {
				accepted++;
				assert_true((const unsigned char *)module.path +
						module.path_bytes <=
					    region + used);
				assert_true(module.build_id_bytes <= VMT_BUILD_ID_MAX_BYTES);
			}
			region[byte] ^= (unsigned char)(1u << bit);
		}
	}
	assert_true(accepted > 0);
}

static void
test_ids_that_are_none(void **state)
{
	uint32_t id = intern("/lib/some.so", "0123456789");
	struct vmt_module module;

	(void)state;
	assert_false(vmt_module_table_get(region, used, 0, &module));
	assert_false(vmt_module_table_get(region, used, id + 1, &module));
	assert_false(vmt_module_table_get(region, used, id + 8, &module));
	assert_false(vmt_module_table_get(region, used, UINT32_MAX, &module));
	assert_false(vmt_module_table_get(region, used - 1, id, &module));
	assert_false(vmt_module_table_get(region, 0, id, &module));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_interns_by_path_and_build_id, set_up),
	    cmocka_unit_test_setup(test_nameless_module, set_up),
	    cmocka_unit_test_setup(test_full_region, set_up),
	    cmocka_unit_test_setup(test_long_values_are_cut, set_up),
	    cmocka_unit_test_setup(test_untrusted_region, set_up),
	    cmocka_unit_test_setup(test_ids_that_are_none, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
