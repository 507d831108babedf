/* However much a report has, its profile is small, whole and adds up. */
#include "tests/unit/report_fixture.h"
#include "tools/export/pprof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

#define SITES 30000u
#define NAME_BYTES 2000u
#define SAMPLE_FIELD 2u

struct large {
	struct vmt_site *sites;
	struct vmt_frame *frames;
	char *names;
};

/* Names that no compressor makes small. */
static void
fill_name(char *name, uint32_t *random)
{
	for (size_t i = 0; i + 1 < NAME_BYTES; i++) {
		*random = *random * 1664525 + 1013904223;
		name[i] = (char)('0' + (*random >> 24) % 75);
	}
	name[NAME_BYTES - 1] = '\0';
}

static struct large
make_sites(size_t name_count)
{
	struct large large = {calloc(SITES, sizeof(*large.sites)),
			      calloc(SITES, sizeof(*large.frames)), calloc(name_count, NAME_BYTES)};
	uint32_t random = 1;

	assert_true(large.sites && large.frames && large.names);
	for (size_t i = 0; i < name_count; i++)
		fill_name(large.names + i * NAME_BYTES, &random);
	for (size_t i = 0; i < SITES; i++) {
		large.frames[i] =
		    (struct vmt_frame){.function = large.names + i % name_count * NAME_BYTES,
				       .module = fixture_app,
				       .address = 0x400000 + i,
				       .module_offset = i,
				       .line = (uint32_t)i};
		large.sites[i] = (struct vmt_site){.kind = "malloc",
						   .class = "malloc live",
						   .count = 1,
						   .committed_bytes = i,
						   .stack = {&large.frames[i], 1}};
	}
	return large;
}

/* The decompressed profile, to be freed. */
static unsigned char *
inflate_all(const char *file, size_t bytes, size_t *length)
{
	size_t room = 64u << 20;
	unsigned char *result = malloc(room);
	z_stream stream = {.next_in = (unsigned char *)(uintptr_t)file,
			   .avail_in = (uInt)bytes,
			   .next_out = result,
			   .avail_out = (uInt)room};

	assert_non_null(result);
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	*length = stream.total_out;
	inflateEnd(&stream);
	return result;
}

static uint64_t
take_varint(const unsigned char **at, const unsigned char *end)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		assert_true(*at < end);
		value |= (uint64_t)(**at & 0x7f) << shift;
		if (!(*(*at)++ & 0x80))
			return value;
	}
	fail_msg("a number has no end");
	return 0;
}

/* Of a sample: its last value, which is committed_space. */
static uint64_t
last_value(const unsigned char *at, const unsigned char *end)
{
	uint64_t last = 0;

	while (at < end) {
		uint64_t key = take_varint(&at, end);
		uint64_t length = take_varint(&at, end);
		const unsigned char *field_end = at + length;

		assert_true(length <= (uint64_t)(end - at));
		while (key == (2 << 3 | 2) && at < field_end)
			last = take_varint(&at, field_end);
		at = field_end;
	}
	return last;
}

static void
count_samples(const unsigned char *at, size_t length, size_t *samples, uint64_t *committed)
{
	const unsigned char *end = at + length;

	*samples = 0;
	*committed = 0;
	while (at < end) {
		uint64_t key = take_varint(&at, end);
		uint64_t value = take_varint(&at, end);

		if ((key & 7) != 2)
			continue;
		assert_true(value <= (uint64_t)(end - at));
		if (key >> 3 == SAMPLE_FIELD) {
			(*samples)++;
			*committed += last_value(at, at + value);
		}
		at += value;
	}
}

static size_t
check(size_t name_count)
{
	struct large large = make_sites(name_count);
	struct vmt_class one = {"malloc live",	   0, 0, (uint64_t)SITES * (SITES - 1) / 2, 0, 0, 0,
				VMT_FIGURE_UNKNOWN};
	struct vmt_report report = fixture_report();
	struct vmt_err err = {""};
	unsigned char *profile;
	uint64_t committed;
	char *file = NULL;
	size_t samples;
	size_t length;
	size_t bytes;
	FILE *out = open_memstream(&file, &bytes);

	report.sites = large.sites;
	report.site_count = SITES;
	report.classes = &one;
	report.class_count = 1;
	assert_int_equal(vmt_pprof_write(&report, out, &err), 0);
	fclose(out);
	assert_in_range(bytes, 1000, VMT_PPROF_MOST_BYTES);
	profile = inflate_all(file, bytes, &length);
	count_samples(profile, length, &samples, &committed);
	assert_int_equal(committed, one.committed_bytes);
	free(profile);
	free(file);
	free(large.sites);
	free(large.frames);
	free(large.names);
	return samples;
}

static void
test_many_rows_are_few_samples(void **state)
{
	(void)state;
	assert_in_range(check(1), 15000, 16000);
}

/* 30,000 names of 2,000 characters: fewer rows stay than 16,000. */
static void
test_long_names_make_fewer(void **state)
{
	(void)state;
	assert_in_range(check(SITES), 100, 4000);
}

/* Two processes of one program, the second after the first is gone: rows of both, each with its
 * own labels. */
static void
test_several_reports_are_one_profile(void **state)
{
	static struct vmt_class class = {"mmap", 0, 0, MIB(64), 0, 0, 0, VMT_FIGURE_UNKNOWN};
	struct vmt_pprof_several *several = vmt_pprof_begin(VMT_METRIC_ALLOC_SPACE, 100);
	struct vmt_err err = {""};
	unsigned char *profile;
	char *file = NULL;
	uint64_t committed;
	size_t samples, length, bytes;
	FILE *out = open_memstream(&file, &bytes);

	(void)state;
	assert_non_null(several);
	for (uint32_t pid = 7001; pid <= 7002; pid++) {
		struct vmt_report *report = malloc(sizeof(*report));

		assert_non_null(report);
		*report = fixture_report();
		report->process.pid = pid;
		report->classes = &class;
		report->class_count = 1;
		report->site_count = 1;
		report->part_count = 0;
		vmt_pprof_add(several, report);
		memset(report, 0xff, sizeof(*report));
		free(report);
	}
	assert_int_equal(vmt_pprof_end(several, out, &err), 0);
	fclose(out);
	profile = inflate_all(file, bytes, &length);
	count_samples(profile, length, &samples, &committed);
	assert_int_equal(committed, 2 * class.committed_bytes);
	assert_non_null(memmem(profile, length, "7001", 4));
	assert_non_null(memmem(profile, length, "7002", 4));
	free(profile);
	free(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_several_reports_are_one_profile),
	    cmocka_unit_test(test_many_rows_are_few_samples),
	    cmocka_unit_test(test_long_names_make_fewer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
