/* Which function did a run time compile to an address, by its map? */
#include "format/jit_map.h"
#include "tools/read/symbols/jit_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
take(struct vmt_jit_names *names, const char *text, uint32_t flags)
{
	size_t length = sizeof(struct vmt_jit_head) + strlen(text);
	struct vmt_jit_head head = {.flags = flags, .bytes = (uint32_t)strlen(text)};
	unsigned char *payload = malloc(length);

	memcpy(payload, &head, sizeof(head));
	memcpy(payload + sizeof(head), text, strlen(text));
	assert_int_equal(vmt_jit_names_read(names, payload, length), 0);
	free(payload);
}

static void
expect(struct vmt_jit_names *names, uint64_t address, const char *function, bool wanted_reused)
{
	struct vmt_symbol symbol;
	bool reused = false;
	bool found = vmt_jit_names_find(names, address, &symbol, &reused);

	assert_int_equal(found, function != NULL);
	if (!function)
		return;
	assert_string_equal(symbol.function, function);
	assert_int_equal(reused, wanted_reused);
}

static void
expect_line(const char *line, const char *function, const char *file, uint32_t number)
{
	struct vmt_jit_names *names = vmt_jit_names_new();
	struct vmt_symbol symbol;
	char text[512];
	bool reused;

	snprintf(text, sizeof(text), "1000 10 %s\n", line);
	take(names, text, 0);
	assert_int_equal(vmt_jit_names_settle(names), 0);
	assert_true(vmt_jit_names_find(names, 0x1008, &symbol, &reused));
	assert_string_equal(symbol.function, function);
	if (file)
		assert_string_equal(symbol.file, file);
	else
		assert_null(symbol.file);
	assert_int_equal(symbol.line, number);
	vmt_jit_names_free(names);
}

static void
the_newest_of_an_address_is_named(void **state)
{
	struct vmt_jit_names *names = vmt_jit_names_new();

	(void)state;
	take(names, "1000 100 first\n1080 20 inner\n0x2000 10 hexed\n", 0);
	take(names, "1000 40 second\n5000 ffff last\n", 0);
	take(names, "5010 10 last_inner\n5000 ffff last\n", VMT_JIT_ANEW); /* said once more */
	assert_int_equal(vmt_jit_names_settle(names), 0);
	assert_int_equal(vmt_jit_names_count(names), 6);
	expect(names, 0xfff, NULL, false);
	expect(names, 0x1000, "second", true);
	expect(names, 0x103f, "second", true);
	expect(names, 0x1040, "first", false);
	expect(names, 0x1080, "inner", true);
	expect(names, 0x109f, "inner", true);
	expect(names, 0x10a0, "first", false);
	expect(names, 0x10ff, "first", false);
	expect(names, 0x1100, NULL, false);
	expect(names, 0x200f, "hexed", false);
	expect(names, 0x2010, NULL, false);
	expect(names, 0x5018, "last", true);
	expect(names, 0x5000, "last", false);
	assert_false(vmt_jit_names_is_cut(names));
	vmt_jit_names_free(names);
}

/* Against a search through all lines, with ranges at random. */
static void
every_address_has_the_name_that_a_search_finds(void **state)
{
	enum { LINES = 300, PLACES = 600 };
	struct vmt_jit_names *names = vmt_jit_names_new();
	unsigned start[LINES], bytes[LINES];

	(void)state;
	srand(7);
	for (unsigned i = 0; i < LINES; i++) {
		char line[64];

		start[i] = 1 + (unsigned)rand() % (PLACES - 60);
		bytes[i] = 1 + (unsigned)rand() % 50;
		snprintf(line, sizeof(line), "%x %x f%u\n", start[i], bytes[i], i);
		take(names, line, 0);
	}
	assert_int_equal(vmt_jit_names_settle(names), 0);
	for (unsigned at = 0; at < PLACES; at++) {
		char wanted[16] = "";
		unsigned count = 0;

		for (unsigned i = 0; i < LINES; i++) {
			if (at < start[i] || at >= start[i] + bytes[i])
				continue;
			snprintf(wanted, sizeof(wanted), "f%u", i);
			count++;
		}
		expect(names, at, count ? wanted : NULL, count > 1);
	}
	vmt_jit_names_free(names);
}

static void
names_of_run_times_are_taken_apart(void **state)
{
	(void)state;
	expect_line("JS:*hot /srv/app.js:12:34", "hot", "/srv/app.js", 12);
	expect_line("LazyCompile:~Foo.bar file:///a b/x.mjs:7:1", "Foo.bar", "file:///a b/x.mjs",
		    7);
	expect_line("JS:~ /srv/app.js:1:1", "(anonymous)", "/srv/app.js", 1);
	expect_line("Builtin:ArrayPush", "Builtin:ArrayPush", NULL, 0);
	expect_line("JS:odd", "JS:odd", NULL, 0);
	expect_line("JS:*odd nowhere", "JS:*odd nowhere", NULL, 0);
	expect_line("py::run:/srv/main.py", "run", "/srv/main.py", 0);
	expect_line("py::run", "py::run", NULL, 0);
	expect_line("Lcom/acme/Main;::run", "Lcom/acme/Main;::run", NULL, 0);
	expect_line("void com.acme.Main.run(int)", "void com.acme.Main.run(int)", NULL, 0);
}

static void
what_is_no_line_is_passed_over(void **state)
{
	static const char *const lines[] = {"\n\n",
					    "1000\n",
					    "1000 10\n",
					    "1000 10 \n",
					    "xyz 10 a\n",
					    "1000 zz a\n",
					    "1000 0 empty\n",
					    "ffffffffffffffff 2 beyond\n",
					    "11111111111111111 1 long\n",
					    "-1 10 a\n",
					    "1000  10 blanks\n",
					    "0x 10 a\n",
					    "1000 10 no end"};
	struct vmt_jit_names *names = vmt_jit_names_new();
	char *huge = malloc(100000);

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines) - 1; i++)
		take(names, lines[i], 0);
	assert_int_equal(vmt_jit_names_count(names), 0);
	take(names, lines[sizeof(lines) / sizeof(*lines) - 1], 0);
	memset(huge, 'a', 99999);
	huge[99999] = '\0';
	memcpy(huge, "2000 10 ", 8);
	take(names, huge, VMT_JIT_CUT);
	assert_int_equal(vmt_jit_names_read(names, (const unsigned char *)"abc", 3), 0);
	assert_int_equal(vmt_jit_names_settle(names), 0);
	assert_int_equal(vmt_jit_names_count(names), 2);
	assert_true(vmt_jit_names_is_cut(names));
	free(huge);
	vmt_jit_names_free(names);
}

/* One look's chunk: so many bytes of the map from offset on. */
static void
take_part(struct vmt_jit_names *names, uint64_t time, uint64_t offset, const char *text)
{
	size_t length = sizeof(struct vmt_jit_head) + strlen(text);
	struct vmt_jit_head head = {
	    .time = time, .offset = offset, .bytes = (uint32_t)strlen(text)};
	unsigned char *payload = malloc(length);

	memcpy(payload, &head, sizeof(head));
	memcpy(payload + sizeof(head), text, strlen(text));
	assert_int_equal(vmt_jit_names_read(names, payload, length), 0);
	free(payload);
}

static void
expect_at(struct vmt_jit_names *names, uint64_t time, uint64_t address, const char *function,
	  bool wanted_unsure)
{
	struct vmt_symbol symbol;
	bool unsure = !wanted_unsure;
	uint32_t version;

	(void)vmt_jit_names_reach(names, time);
	version = vmt_jit_names_version(names, address);
	assert_int_not_equal(version, 0);
	assert_int_equal(version, vmt_jit_names_version(names, address));
	vmt_jit_names_of_version(names, version, &symbol, &unsure);
	assert_string_equal(symbol.function, function);
	assert_int_equal(unsure, wanted_unsure);
}

/* Looks at 100, 200 and 300. */
static void
a_name_holds_at_its_time(void **state)
{
	struct vmt_jit_names *names = vmt_jit_names_new();

	(void)state;
	take_part(names, 100, 0, "1000 10 old\n2000 10 alone\n5000 10 twice\n");
	take_part(names, 200, 100, "1000 10 middle\n5000 10 other\n6000 10 late\n");
	take_part(names, 300, 200, "1008 10 new\n5000 10 twice\n6000 10 later\n");
	assert_int_equal(vmt_jit_names_settle(names), 0);
	assert_int_equal(vmt_jit_names_count(names), 8);
	assert_int_equal(vmt_jit_names_version(names, 0x2000), 0);
	assert_int_equal(vmt_jit_names_version(names, 0x1012), 0);
	assert_int_equal(vmt_jit_names_version(names, 0x3000), 0);
	expect_at(names, 50, 0x1000, "old", true); /* middle may have been written late */
	expect_at(names, 50, 0x6000, "late", true);
	expect_at(names, 100, 0x1000, "old", true);
	expect_at(names, 101, 0x1000, "middle", true); /* written in this time, or before */
	expect_at(names, 101, 0x5000, "other", true);
	expect_at(names, 201, 0x1000, "middle", false);
	expect_at(names, 201, 0x1008, "new", true);
	expect_at(names, 300, 0x5000, "twice", true);
	assert_true(vmt_jit_names_reach(names, 301));
	assert_false(vmt_jit_names_reach(names, 1000));
	expect_at(names, 1000, 0x1008, "new", false);
	expect_at(names, 1000, 0x5000, "twice", false);
	expect_at(names, 1000, 0x6000, "later", false);
	vmt_jit_names_free(names);
}

/* Against a search through all lines, with ranges, looks and times at random. */
static void
at_every_time_it_is_the_one_that_a_search_finds(void **state)
{
	enum { LINES = 400, PLACES = 300, LOOKS = 12 };
	struct vmt_jit_names *names = vmt_jit_names_new();
	unsigned start[LINES], bytes[LINES], look[LINES];
	unsigned asked = 0;

	(void)state;
	srand(11);
	for (unsigned i = 0; i < LINES; i++) {
		char line[64];

		start[i] = 1 + (unsigned)rand() % (PLACES - 60);
		bytes[i] = 1 + (unsigned)rand() % 9;
		look[i] = i * LOOKS / LINES;
		snprintf(line, sizeof(line), "%x %x f%u\n", start[i], bytes[i], i);
		take_part(names, 10 + look[i] * 10, i * 100, line);
	}
	assert_int_equal(vmt_jit_names_settle(names), 0);
	for (unsigned now = 0; now <= LOOKS; now++)
		for (unsigned at = 0; at < PLACES; at++) {
			unsigned known = LINES, count = 0, after = 0;
			char wanted[16];

			for (unsigned i = 0; i < LINES; i++) {
				if (at < start[i] || at >= start[i] + bytes[i])
					continue;
				count++;
				after += look[i] >= now;
				if (look[i] <= now || known == LINES ||
				    (look[known] > now && look[i] == look[known]))
					known = i;
			}
			if (count < 2)
				continue;
			asked++;
			snprintf(wanted, sizeof(wanted), "f%u", known);
			expect_at(names, 10 * now + 5, at, wanted, look[known] >= now || after > 0);
		}
	assert_true(asked > LOOKS * 50);
	vmt_jit_names_free(names);
}

/* A run time may write the whole map anew at each look. */
static void
lines_that_are_repeated_cost_nothing(void **state)
{
	enum { FUNCTIONS = 5000, LOOKS = 40 };
	struct vmt_jit_names *names = vmt_jit_names_new();
	char *text = malloc(FUNCTIONS * 40);

	(void)state;
	for (unsigned look = 0; look < LOOKS; look++) {
		size_t length = 0;

		for (unsigned i = 0; i < FUNCTIONS; i++)
			length += (size_t)sprintf(text + length, "%x 10 f%u\n", 0x1000 + i * 16, i);
		take_part(names, 10 + look, 0, text);
	}
	assert_int_equal(vmt_jit_names_settle(names), 0);
	assert_int_equal(vmt_jit_names_count(names), FUNCTIONS);
	assert_false(vmt_jit_names_is_cut(names));
	assert_int_equal(vmt_jit_names_version(names, 0x1000), 0);
	expect(names, 0x1000 + 16 * 77, "f77", false);
	free(text);
	vmt_jit_names_free(names);
}

/* What is longer than a chunk goes on in the next one: its rest is no function. */
static void
the_rest_of_a_long_line_is_none(void **state)
{
	struct vmt_jit_names *names = vmt_jit_names_new();

	(void)state;
	take_part(names, 10, 0, "1000 10 long_name");
	take_part(names, 10, 17, "2000 10 of_its_own\n3000 10 next\n");
	take_part(names, 20, 900, "4000 10 cut");
	take_part(names, 30, 5, "5000 10 another_place\n");
	assert_int_equal(vmt_jit_names_settle(names), 0);
	expect(names, 0x1000, "long_name", false);
	expect(names, 0x2000, NULL, false);
	expect(names, 0x3000, "next", false);
	expect(names, 0x5000, "another_place", false);
	vmt_jit_names_free(names);
}

static void
no_line_at_all_is_no_name(void **state)
{
	struct vmt_jit_names *names = vmt_jit_names_new();

	(void)state;
	assert_int_equal(vmt_jit_names_settle(names), 0);
	expect(names, 0, NULL, false);
	vmt_jit_names_free(names);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_newest_of_an_address_is_named),
	    cmocka_unit_test(every_address_has_the_name_that_a_search_finds),
	    cmocka_unit_test(names_of_run_times_are_taken_apart),
	    cmocka_unit_test(what_is_no_line_is_passed_over),
	    cmocka_unit_test(a_name_holds_at_its_time),
	    cmocka_unit_test(at_every_time_it_is_the_one_that_a_search_finds),
	    cmocka_unit_test(lines_that_are_repeated_cost_nothing),
	    cmocka_unit_test(the_rest_of_a_long_line_is_none),
	    cmocka_unit_test(no_line_at_all_is_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
