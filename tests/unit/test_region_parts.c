/* What each call site, class and file has: equal ones are joined, and nothing is lost. */
#include "tools/model/attribute/region_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char path_a[] = "/srv/a";
static const char path_b[] = "/srv/b";

static void
add(struct vmt_region_parts *parts, uint32_t site, enum vmt_class_id class, const char *path,
    uint64_t committed)
{
	const struct vmt_mapping mapping = {
	    .path = path, .path_bytes = path ? (uint16_t)strlen(path) : 0, .inode = path ? 7 : 0};
	const struct vmt_region region = {.mapping = &mapping, .site = site, .class = class};
	const uint64_t rest[VMT_AMOUNTS] = {
	    [VMT_AMOUNT_RESERVED] = 2 * committed, [VMT_AMOUNT_COMMITTED] = committed};
	const double estimate[VMT_AMOUNTS] = {[VMT_AMOUNT_COMMITTED] = 0.25};

	assert_int_equal(vmt_region_parts_add(parts, &region, rest, estimate), 0);
}

static void
expect(const struct vmt_region_part *part, uint32_t site, enum vmt_class_id class, const char *path,
       uint64_t committed, double estimate)
{
	assert_int_equal(part->site, site);
	assert_int_equal(part->class, class);
	assert_int_equal(part->path_bytes, path ? strlen(path) : 0);
	if (path)
		assert_memory_equal(part->path, path, strlen(path));
	assert_int_equal(part->rest[VMT_AMOUNT_COMMITTED], committed);
	assert_int_equal(part->rest[VMT_AMOUNT_RESERVED], 2 * committed);
	assert_true(part->estimate[VMT_AMOUNT_COMMITTED] == estimate);
}

static void
test_equal_ones_are_joined(void **state)
{
	struct vmt_region_parts parts = {0};

	(void)state;
	add(&parts, 4, VMT_CLASS_THREAD_STACKS, NULL, 100);
	add(&parts, VMT_SITE_NONE, VMT_CLASS_FILES, path_b, 1);
	add(&parts, 4, VMT_CLASS_ENDED_STACKS, NULL, 10);
	add(&parts, 4, VMT_CLASS_THREAD_STACKS, NULL, 23);
	add(&parts, VMT_SITE_NONE, VMT_CLASS_FILES, path_a, 2);
	add(&parts, VMT_SITE_NONE, VMT_CLASS_FILES, path_b, 4);
	add(&parts, 3, VMT_CLASS_FILES, path_b, 8);
	vmt_region_parts_join(&parts);
	assert_int_equal(parts.count, 5);
	expect(&parts.items[0], 4, VMT_CLASS_THREAD_STACKS, NULL, 123, 0.5);
	expect(&parts.items[1], 4, VMT_CLASS_ENDED_STACKS, NULL, 10, 0.25);
	expect(&parts.items[2], 3, VMT_CLASS_FILES, path_b, 8, 0.25);
	expect(&parts.items[3], VMT_SITE_NONE, VMT_CLASS_FILES, path_a, 2, 0.25);
	expect(&parts.items[4], VMT_SITE_NONE, VMT_CLASS_FILES, path_b, 5, 0.5);
	vmt_region_parts_clear(&parts);
	assert_int_equal(parts.count, 0);
}

static void
test_none_is_none(void **state)
{
	struct vmt_region_parts parts = {0};

	(void)state;
	vmt_region_parts_join(&parts);
	assert_int_equal(parts.count, 0);
	vmt_region_parts_clear(&parts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_equal_ones_are_joined),
	    cmocka_unit_test(test_none_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
