#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct vmt_text
text_of(const char *string)
{
	return vmt_text_of(string, strlen(string));
}

static void
takes_numbers_up_to_64_bits(void **state)
{
	struct vmt_text text = text_of("18446744073709551615 ffffffffffffffff");
	uint64_t number = 0;

	(void)state;
	assert_true(vmt_text_take_decimal(&text, &number));
	assert_true(number == UINT64_MAX);
	assert_true(vmt_text_skip(&text, ' '));
	number = 0;
	assert_true(vmt_text_take_hex(&text, &number));
	assert_true(number == UINT64_MAX);
	assert_int_equal(vmt_text_length(&text), 0);
}

static void
refuses_what_is_no_number_and_stays(void **state)
{
	static const char *const decimals[] = {"", "x1", "-1", "18446744073709551616",
					       "99999999999999999999"};
	struct vmt_text text;
	uint64_t number = 5;

	(void)state;
	for (unsigned i = 0; i < sizeof(decimals) / sizeof(decimals[0]); i++) {
		const char *begin;

		text = text_of(decimals[i]);
		begin = text.at;
		assert_false(vmt_text_take_decimal(&text, &number));
		assert_ptr_equal(text.at, begin);
	}
	text = text_of("10000000000000000");
	assert_false(vmt_text_take_hex(&text, &number));
	assert_int_equal(number, 5);
}

static void
never_reads_past_the_end(void **state)
{
	static const char bytes[] = {'1', '2', '3', '4'};
	struct vmt_text text = vmt_text_of(bytes, 2);
	struct vmt_text line;
	uint64_t number;

	(void)state;
	assert_true(vmt_text_take_decimal(&text, &number));
	assert_int_equal(number, 12);
	assert_false(vmt_text_take_line(&text, &line));
	assert_false(vmt_text_skip(&text, '3'));
}

static void
takes_lines_with_and_without_a_newline(void **state)
{
	struct vmt_text text = text_of("one\n\nlast");
	struct vmt_text line;

	(void)state;
	assert_true(vmt_text_take_line(&text, &line));
	assert_true(vmt_text_equals(&line, "one"));
	assert_true(vmt_text_take_line(&text, &line));
	assert_true(vmt_text_equals(&line, ""));
	assert_true(vmt_text_take_line(&text, &line));
	assert_true(vmt_text_equals(&line, "last"));
	assert_false(vmt_text_take_line(&text, &line));
}

static void
finds_figures_by_their_whole_key(void **state)
{
	struct vmt_text text = text_of("anon_thp 5\nanon 17\nRss:\t  40 kB\nfile none\n");
	uint64_t number = 0;

	(void)state;
	assert_true(vmt_text_find_figure(text, "anon", &number));
	assert_int_equal(number, 17);
	assert_true(vmt_text_find_figure(text, "Rss", &number));
	assert_int_equal(number, 40);
	assert_false(vmt_text_find_figure(text, "file", &number));
	assert_false(vmt_text_find_figure(text, "Rs", &number));
}

static void
writes_within_its_room(void **state)
{
	char buffer[8];
	struct vmt_text_out out = vmt_text_out_begin(buffer, sizeof(buffer));

	(void)state;
	vmt_text_put(&out, "ab");
	vmt_text_put_decimal(&out, 0);
	vmt_text_put_decimal(&out, 1234);
	assert_false(out.overflow);
	assert_string_equal(buffer, "ab01234");
	vmt_text_put(&out, "x");
	assert_true(out.overflow);
	assert_string_equal(buffer, "ab01234");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_numbers_up_to_64_bits),
	    cmocka_unit_test(refuses_what_is_no_number_and_stays),
	    cmocka_unit_test(never_reads_past_the_end),
	    cmocka_unit_test(takes_lines_with_and_without_a_newline),
	    cmocka_unit_test(finds_figures_by_their_whole_key),
	    cmocka_unit_test(writes_within_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
