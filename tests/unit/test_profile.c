/* The rows of a profile: what they are called, and that they add up. */
#include "tests/unit/report_fixture.h"
#include "tools/export/folded.h"
#include "tools/export/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct vmt_profile *
make(const struct vmt_report *report)
{
	struct vmt_profile *profile = vmt_profile_make(report, VMT_PROFILE_MOST_ROWS);

	assert_non_null(profile);
	return profile;
}

/* Of a class, or of all where NULL. */
static uint64_t
sum(const struct vmt_profile *profile, const char *class, enum vmt_metric metric)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < profile->count; i++)
		if (!class || strcmp(profile->rows[i].class, class) == 0)
			bytes += profile->rows[i].values[metric];
	return bytes;
}

static void
expect_sums(const struct vmt_report *report, const struct vmt_profile *profile)
{
	uint64_t committed = 0;

	for (size_t i = 0; i < report->class_count; i++) {
		const struct vmt_class *class = &report->classes[i];

		assert_int_equal(sum(profile, class->name, VMT_METRIC_COMMITTED_SPACE),
				 class->committed_bytes);
		assert_int_equal(sum(profile, class->name, VMT_METRIC_INUSE_SPACE),
				 class->reserved_bytes);
		assert_int_equal(sum(profile, class->name, VMT_METRIC_SWAPPED_SPACE),
				 class->swapped_bytes);
		committed += class->committed_bytes;
	}
	assert_int_equal(sum(profile, NULL, VMT_METRIC_COMMITTED_SPACE), committed);
	for (int i = 0; i < VMT_METRICS; i++)
		assert_int_equal(profile->totals[i], sum(profile, NULL, (enum vmt_metric)i));
}

static const struct vmt_profile_row *
find(const struct vmt_profile *profile, const char *class, const char *leaf, const char *kind)
{
	for (size_t i = 0; i < profile->count; i++) {
		const struct vmt_profile_row *row = &profile->rows[i];

		if (strcmp(row->class, class) == 0 && strcmp(row->kind, kind) == 0 &&
		    (leaf ? row->leaf && strcmp(row->leaf, leaf) == 0 : !row->leaf))
			return row;
	}
	fail_msg("no row %s %s %s", class, leaf ? leaf : "", kind);
	return NULL;
}

static void
test_what_no_site_has_is_a_row_of_its_class(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_profile *profile = make(&report);

	(void)state;
	expect_sums(&report, profile);
	assert_int_equal(
	    find(profile, "mapped files", "[mapped files]", "")->values[VMT_METRIC_COMMITTED_SPACE],
	    MIB(59) - 8192);
	assert_int_equal(
	    find(profile, "malloc live", "[malloc live]", "")->values[VMT_METRIC_SWAPPED_SPACE],
	    MIB(1));
	assert_int_equal(profile->totals[VMT_METRIC_COMMITTED_SPACE], MIB(131));
	vmt_profile_free(profile);
}

static void
test_figures_of_the_run_are_the_sites(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_profile *profile = make(&report);

	(void)state;
	assert_int_equal(profile->totals[VMT_METRIC_ALLOC_OBJECTS], 1 + 1000 + 5000 + 2);
	assert_int_equal(profile->totals[VMT_METRIC_ALLOC_SPACE], MIB(1024 + 100));
	assert_int_equal(profile->totals[VMT_METRIC_RELEASED_SPACE], MIB(30));
	assert_int_equal(profile->totals[VMT_METRIC_INUSE_OBJECTS], 1 + 900);
	vmt_profile_free(profile);
}

static char file_a[] = "/srv/a.db";
static char file_b[] = "/srv/b.db";

/* One call site in two classes, files with and without a call, and what an allocator mapped. */
static struct vmt_memory_part parts[] = {
    {"mmap", 0, NULL, MIB(1024), MIB(8), 0},
    {"malloc retained", 3, NULL, MIB(1), 40960, 0},
    {"malloc retained", SIZE_MAX, NULL, MIB(2), 81920, 4096},
    {"thread stacks", 0, NULL, MIB(8), 4096, 0},
    {"mapped files", 2, file_a, 8192, 4096, 0},
    {"mapped files", 2, file_b, 8192, 8192, 0},
    {"mapped files", SIZE_MAX, file_b, MIB(80), MIB(58), 0},
    {"vmtrace", SIZE_MAX, file_a, MIB(6), MIB(1), 0},
};
static struct vmt_class classes[] = {
    {"mmap", MIB(1024), MIB(1024), MIB(8), 0, 0, 0, VMT_FIGURE_UNKNOWN},
    {"malloc live", MIB(70), MIB(70), MIB(64), 0, 0, 0, VMT_FIGURE_UNKNOWN},
    {"malloc retained", MIB(3), MIB(3), 40960 + 81920, 4096, 0, 0, VMT_FIGURE_UNKNOWN},
    {"thread stacks", MIB(8), MIB(8), 4096, 0, 0, 0, VMT_FIGURE_UNKNOWN},
    {"mapped files", MIB(80) + 16384, MIB(80), MIB(58) + 12288, 0, 0, 0, VMT_FIGURE_UNKNOWN},
    {"vmtrace", MIB(6), MIB(6), MIB(1), 0, 0, 0, VMT_FIGURE_UNKNOWN},
};

static struct vmt_report
report_with_parts(void)
{
	struct vmt_report report = fixture_report();

	report.parts = parts;
	report.part_count = sizeof(parts) / sizeof(*parts);
	report.classes = classes;
	report.class_count = sizeof(classes) / sizeof(*classes);
	return report;
}

static void
test_parts_are_rows(void **state)
{
	struct vmt_report report = report_with_parts();
	struct vmt_profile *profile = make(&report);
	const struct vmt_profile_row *row;

	(void)state;
	expect_sums(&report, profile);
	row = find(profile, "thread stacks", NULL, "mmap");
	assert_int_equal(row->values[VMT_METRIC_COMMITTED_SPACE], 4096);
	assert_int_equal(row->values[VMT_METRIC_ALLOC_OBJECTS], 0);
	assert_int_equal(find(profile, "mmap", NULL, "mmap")->values[VMT_METRIC_ALLOC_OBJECTS], 1);
	assert_int_equal(
	    find(profile, "mapped files", NULL, "mmap")->values[VMT_METRIC_COMMITTED_SPACE], 12288);
	assert_int_equal(
	    find(profile, "mapped files", "[file /srv/b.db]", "")->values[VMT_METRIC_INUSE_SPACE],
	    MIB(80));
	row = find(profile, "malloc retained", "[malloc retained]", "brk");
	assert_ptr_equal(row->stack, &fixture_sites[3].stack);
	assert_int_equal(row->values[VMT_METRIC_COMMITTED_SPACE], 40960);
	find(profile, "malloc retained", "[malloc retained]", "");
	find(profile, "vmtrace", "[vmtrace]", "");
	vmt_profile_free(profile);
}

/* Estimates give way first: what is exact stays as it is. */
static void
test_estimates_are_made_to_add_up(void **state)
{
	struct vmt_class one = {"malloc live",	   MIB(70), MIB(70), MIB(50) + 1, 0, 0, 0,
				VMT_FIGURE_UNKNOWN};
	struct vmt_site sites[3] = {fixture_sites[1], fixture_sites[1], fixture_sites[1]};
	struct vmt_report report = fixture_report();
	struct vmt_profile *profile;

	(void)state;
	sites[0].estimate = false;
	sites[0].committed_bytes = MIB(30);
	sites[1].committed_bytes = MIB(20);
	sites[2].committed_bytes = MIB(10);
	sites[0].reserved_bytes = sites[1].reserved_bytes = sites[2].reserved_bytes = MIB(20);
	report.sites = sites;
	report.site_count = 3;
	report.classes = &one;
	report.class_count = 1;
	profile = make(&report);
	expect_sums(&report, profile);
	assert_int_equal(profile->rows[0].values[VMT_METRIC_COMMITTED_SPACE], MIB(30));
	/* 20 MiB and one byte for two that have 2 : 1 */
	assert_int_equal(profile->rows[1].values[VMT_METRIC_COMMITTED_SPACE], 13981014);
	assert_int_equal(profile->rows[2].values[VMT_METRIC_COMMITTED_SPACE], 6990507);
	vmt_profile_free(profile);
}

/* Figures that no process can have, as a damaged trace may claim them. */
static void
test_contradictions_add_up_too(void **state)
{
	struct vmt_class one = {"malloc live", 1, 1, 5, 0, 0, 0, VMT_FIGURE_UNKNOWN};
	struct vmt_site sites[2] = {fixture_sites[1], fixture_sites[1]};
	struct vmt_report report = fixture_report();
	struct vmt_profile *profile;

	(void)state;
	sites[0].estimate = sites[1].estimate = false;
	sites[0].committed_bytes = sites[1].committed_bytes = UINT64_MAX - 1;
	report.sites = sites;
	report.site_count = 2;
	report.classes = &one;
	report.class_count = 1;
	profile = make(&report);
	expect_sums(&report, profile);
	vmt_profile_free(profile);
}

#define MANY 1000u

static void
test_small_rows_are_joined_by_class(void **state)
{
	struct vmt_class one = {"malloc live",	   MIB(70), MIB(70), MANY * (MANY + 1) / 2, 0, 0, 0,
				VMT_FIGURE_UNKNOWN};
	struct vmt_site *sites = calloc(MANY, sizeof(*sites));
	struct vmt_report report = fixture_report();
	struct vmt_profile *profile;

	(void)state;
	assert_non_null(sites);
	for (size_t i = 0; i < MANY; i++) {
		sites[i] = fixture_sites[1];
		sites[i].committed_bytes = i + 1;
		sites[i].reserved_bytes = 0;
		sites[i].count = 1;
	}
	report.sites = sites;
	report.site_count = MANY;
	report.classes = &one;
	report.class_count = 1;
	profile = vmt_profile_make(&report, 100);
	assert_non_null(profile);
	assert_in_range(profile->count, 50, 100);
	expect_sums(&report, profile);
	assert_int_equal(profile->totals[VMT_METRIC_ALLOC_OBJECTS], MANY);
	assert_string_equal(profile->rows[profile->count - 1].leaf, "[smaller rows]");
	assert_int_equal(profile->joined_rows + profile->count - 1, MANY + 1);
	vmt_profile_free(profile);
	free(sites);
}

static void
test_without_a_snapshot_rows_are_the_sites(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_profile *profile;

	(void)state;
	report.snapshot.taken = false;
	report.class_count = 0;
	profile = make(&report);
	assert_int_equal(profile->count, 4);
	assert_int_equal(profile->totals[VMT_METRIC_INUSE_SPACE], MIB(1024 + 70) + 12288);
	vmt_profile_free(profile);
}

static void
test_folded_lines(void **state)
{
	struct vmt_report report = report_with_parts();
	struct vmt_err err = {""};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	assert_int_equal(vmt_folded_write(&report, VMT_METRIC_COMMITTED_SPACE, out, &err), 0);
	fclose(out);
	/* Both classes of one stack are one line. */
	assert_non_null(strstr(text, "0x1234;server+0x400 8392704\n"));
	assert_non_null(strstr(text, "[file /srv/b.db] 60817408\n"));
	assert_non_null(strstr(text, "[no stack] 12288\n"));
	assert_non_null(strstr(text, "a?[31m?\?(?\"\\??z;[malloc retained] 40960\n"));
	assert_non_null(strstr(text, "\nmain;cache::Table<std::pair<std::string"));
	assert_non_null(strstr(text, "rehash_to_power_of_two;arena_grow;malloc 67108864\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_no_site_has_is_a_row_of_its_class),
	    cmocka_unit_test(test_figures_of_the_run_are_the_sites),
	    cmocka_unit_test(test_parts_are_rows),
	    cmocka_unit_test(test_estimates_are_made_to_add_up),
	    cmocka_unit_test(test_contradictions_add_up_too),
	    cmocka_unit_test(test_small_rows_are_joined_by_class),
	    cmocka_unit_test(test_without_a_snapshot_rows_are_the_sites),
	    cmocka_unit_test(test_folded_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
