#include "tools/render/name_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct vmt_name_pattern *
compiled(const char *text, bool plain)
{
	struct vmt_err err = {""};
	struct vmt_name_pattern *pattern = vmt_name_pattern_new("--focus", text, plain, &err);

	if (!pattern)
		fail_msg("%s: %s", text, err.text);
	return pattern;
}

static void
assert_refused(const char *text, const char *part)
{
	struct vmt_err err = {""};

	assert_null(vmt_name_pattern_new("--ignore", text, false, &err));
	assert_ptr_equal(strstr(err.text, "--ignore: "), err.text);
	if (!strstr(err.text, part))
		fail_msg("'%s' is not in: %s", part, err.text);
}

static void
what_has_no_bound_is_refused(void **state)
{
	char longest[1002];

	(void)state;
	assert_refused("(", "no regular expression");
	assert_refused("a**b[", "no regular expression");
	assert_refused("", "empty");
	assert_refused("(a)\\1", "back references");
	assert_refused("((a{1,100}){1,100}){1,100}", "repeats too often");
	assert_refused("((a{,100}){,100}){,100}", "repeats too often");
	assert_refused("((a{100,}){100,}){100,}", "repeats too often");
	assert_refused("((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)", "repeats too often");
	assert_refused("a++++++++++++", "repeats too often");
	assert_refused("(abcdefghij){500}", "repeats too often");
	assert_refused("a{1001}", "repeats too often");
	assert_refused("a{0,99999999999999999999}", "repeats too often");
	memset(longest, 'a', sizeof(longest));
	longest[1001] = '\0';
	assert_refused(longest, "too long");
	longest[1000] = '\0';
	vmt_name_pattern_free(compiled(longest, false));
	vmt_name_pattern_free(compiled("a{1000}", false));
	vmt_name_pattern_free(compiled("a+b+c+d+e+f+g+h+i+j+k+l+m+n+", false));
	vmt_name_pattern_free(compiled("a{,9}(b|c){2,}d{0}x{,}", false));
	/* In a set of characters these are letters. */
	vmt_name_pattern_free(compiled("[]{9999}\\1]", false));
	vmt_name_pattern_free(compiled("[^]{]x", false));
}

static void
a_frame_is_known_by_name_line_and_module(void **state)
{
	char function[] = "cache_grow";
	char file[] = "/src/app/cache.c";
	char module[] = "/srv/bin/server";
	struct vmt_frame named = {.function = function, .file = file, .module = module, .line = 88};
	struct vmt_frame bare = {.module = module, .module_offset = 0x12, .address = 0x1012};
	static const struct {
		const char *pattern;
		bool named, bare;
	} cases[] = {
	    {"^cache_grow$", true, false},  {"cache\\.c:88$", true, false},
	    {"^/src/", true, false},	    {"/server$", true, true},
	    {"server\\+0x12", false, true}, {"cache.c:8$", false, false},
	    {"grow|0x12", true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vmt_name_pattern *pattern = compiled(cases[i].pattern, false);

		/* The second time from what is kept. */
		for (int times = 0; times < 2; times++) {
			assert_int_equal(vmt_name_pattern_in_frame(pattern, &named),
					 cases[i].named);
			assert_int_equal(vmt_name_pattern_in_frame(pattern, &bare), cases[i].bare);
		}
		assert_string_equal(vmt_name_pattern_text(pattern), cases[i].pattern);
		vmt_name_pattern_free(pattern);
	}
}

static void
plain_text_need_be_no_pattern(void **state)
{
	struct vmt_name_pattern *pattern = compiled("operator[](", true);

	(void)state;
	assert_true(vmt_name_pattern_matches(pattern, "map::operator[](int)"));
	assert_false(vmt_name_pattern_matches(pattern, "map::operator(int)"));
	vmt_name_pattern_free(pattern);
	pattern = compiled("vector<int>|a+b", true);
	assert_true(vmt_name_pattern_matches(pattern, "x vector<int>"));
	assert_true(vmt_name_pattern_matches(pattern, "aab"));
	assert_true(vmt_name_pattern_matches(pattern, "-vector<int>|a+b-"));
	assert_false(vmt_name_pattern_matches(pattern, "vector<long>"));
	vmt_name_pattern_free(pattern);
}

/* Of a name that goes on for a megabyte, its beginning. */
static void
a_long_name_is_looked_at_up_to_a_bound(void **state)
{
	size_t bytes = 1 << 20;
	char *name = malloc(bytes + 2);
	struct vmt_name_pattern *pattern = compiled("(a|b|ab)*c", false);

	(void)state;
	assert_non_null(name);
	memset(name, 'a', bytes);
	strcpy(name + bytes, "c");
	assert_false(vmt_name_pattern_matches(pattern, name));
	strcpy(name + 3999, "c");
	assert_true(vmt_name_pattern_matches(pattern, name));
	vmt_name_pattern_free(pattern);
	free(name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_has_no_bound_is_refused),
	    cmocka_unit_test(a_frame_is_known_by_name_line_and_module),
	    cmocka_unit_test(plain_text_need_be_no_pattern),
	    cmocka_unit_test(a_long_name_is_looked_at_up_to_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
