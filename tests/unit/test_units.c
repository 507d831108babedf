#include "tools/render/units.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
bytes_are_written_with_three_figures(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
	    {0, "0 B"},
	    {1, "1 B"},
	    {1023, "1023 B"},
	    {1024, "1 KiB"},
	    {1536, "1.5 KiB"},
	    {4096, "4 KiB"},
	    {10240, "10 KiB"},
	    {UINT64_C(131) << 20, "131 MiB"},
	    {1245540516, "1.16 GiB"},
	    {(UINT64_C(1) << 20) - 1, "1 MiB"},
	    {(UINT64_C(1) << 30) - 1, "1 GiB"},
	    {1047552, "1023 KiB"},
	    {UINT64_C(1) << 40, "1 TiB"},
	    {UINT64_MAX, "16 EiB"},
	};
	char text[VMT_UNITS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(vmt_units_bytes(text, cases[i].bytes), cases[i].text);
}

static void
durations_are_written_for_people(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
	    {0, "0 ns"},
	    {999, "999 ns"},
	    {950000, "950 µs"},
	    {12300000, "12.3 ms"},
	    {1500000000, "1.5 s"},
	    {UINT64_C(59400000000), "59.4 s"},
	    {UINT64_C(125000000000), "2 min 05 s"},
	    {UINT64_C(11520000000000), "3 h 12 min"},
	};
	char text[VMT_UNITS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(vmt_units_duration(text, cases[i].ns), cases[i].text);
}

static void
nothing_overruns_its_buffer(void **state)
{
	char text[VMT_UNITS_BYTES + 8];

	(void)state;
	for (unsigned shift = 0; shift < 64; shift++) {
		uint64_t value = UINT64_MAX >> shift;

		memset(text, 'x', sizeof(text));
		vmt_units_bytes(text, value);
		assert_int_equal(text[VMT_UNITS_BYTES], 'x');
		vmt_units_duration(text, value);
		assert_int_equal(text[VMT_UNITS_BYTES], 'x');
		vmt_units_count(text, value);
		assert_int_equal(text[VMT_UNITS_BYTES], 'x');
	}
}

static void
counts_have_commas(void **state)
{
	char text[VMT_UNITS_BYTES];

	(void)state;
	assert_string_equal(vmt_units_count(text, 0), "0");
	assert_string_equal(vmt_units_count(text, 999), "999");
	assert_string_equal(vmt_units_count(text, 1000), "1,000");
	assert_string_equal(vmt_units_count(text, 1234567), "1,234,567");
	assert_string_equal(vmt_units_count(text, UINT64_C(1234567890123456)),
			    "1,234,567,890,123,456");
	assert_string_equal(vmt_units_count(text, UINT64_MAX), "18446744073709551615");
}

static void
shares_are_whole_percents(void **state)
{
	char text[VMT_UNITS_RATIO_BYTES];

	(void)state;
	assert_string_equal(vmt_units_ratio(text, 54, 100), "54 %");
	assert_string_equal(vmt_units_ratio(text, 1, 100000), "<1 %");
	assert_string_equal(vmt_units_ratio(text, 0, 100000), "0 %");
	assert_string_equal(vmt_units_ratio(text, 7, 0), "-");
	vmt_units_ratio(text, UINT64_MAX, 1);
	assert_in_range(strlen(text), 1, sizeof(text) - 1);
}

static void
sizes_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
	    {"0", 0},	     {"4096", 4096},	      {"64KiB", 65536}, {"64K", 65536},
	    {"64kb", 65536}, {"1.5 GiB", 1610612736}, {"2M", 2097152},	{"1T", UINT64_C(1) << 40},
	    {"12B", 12},
	};
	static const char *const wrong[] = {"",	   "-1",  "x",	 "1x", "1 K B", "0x10",
					    "nan", "KiB", "inf", " 1", "1KiBx"};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(vmt_units_parse_bytes(cases[i].text, &bytes), 0);
		assert_int_equal(bytes, cases[i].bytes);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(vmt_units_parse_bytes(wrong[i], &bytes), -EINVAL);
	assert_int_equal(vmt_units_parse_bytes("99999999T", &bytes), -ERANGE);
	assert_int_equal(vmt_units_parse_bytes("1e999", &bytes), -ERANGE);
}

static void
times_are_read(void **state)
{
	uint64_t ns;

	(void)state;
	assert_int_equal(vmt_units_parse_duration("300ms", &ns), 0);
	assert_int_equal(ns, 300000000);
	assert_int_equal(vmt_units_parse_duration("1.5s", &ns), 0);
	assert_int_equal(ns, 1500000000);
	assert_int_equal(vmt_units_parse_duration("2", &ns), 0);
	assert_int_equal(ns, 2000000000);
	assert_int_equal(vmt_units_parse_duration("2m", &ns), 0);
	assert_int_equal(ns, UINT64_C(120000000000));
	assert_int_equal(vmt_units_parse_duration("1h", &ns), 0);
	assert_int_equal(ns, UINT64_C(3600000000000));
	assert_int_equal(vmt_units_parse_duration("soon", &ns), -EINVAL);
	assert_int_equal(vmt_units_parse_duration("-1s", &ns), -EINVAL);
	assert_int_equal(vmt_units_parse_duration("99999999999h", &ns), -ERANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_are_written_with_three_figures),
	    cmocka_unit_test(durations_are_written_for_people),
	    cmocka_unit_test(nothing_overruns_its_buffer),
	    cmocka_unit_test(counts_have_commas),
	    cmocka_unit_test(shares_are_whole_percents),
	    cmocka_unit_test(sizes_are_read),
	    cmocka_unit_test(times_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
