#include "tools/render/json.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/report_fixture.h"

static char *
print(const struct vmt_report *report, struct vmt_json_options options)
{
	struct vmt_err err = {""};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	assert_int_equal(vmt_json_print(report, &options, out, &err), 0);
	fclose(out);
	return text;
}

/* A reader of RFC 8259 that only says whether it is one: each takes what it knows, or fails. */
static const char *take_value(const char *at);

static const char *
skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
		at++;
	return at;
}

static const char *
take_string(const char *at)
{
	assert_int_equal(*at, '"');
	for (at++; *at != '"'; at++) {
		assert_true((unsigned char)*at >= 0x20);
		if (*at == '\\') {
			at++;
			assert_non_null(strchr("\"\\/bfnrtu", *at));
		}
	}
	return at + 1;
}

static const char *
take_list(const char *at, char close, bool keys)
{
	at = skip_blanks(at + 1);
	if (*at == close)
		return at + 1;
	for (;;) {
		if (keys) {
			at = skip_blanks(take_string(skip_blanks(at)));
			assert_int_equal(*at++, ':');
		}
		at = skip_blanks(take_value(skip_blanks(at)));
		if (*at == close)
			return at + 1;
		assert_int_equal(*at++, ',');
	}
}

static const char *
take_value(const char *at)
{
	if (*at == '{')
		return take_list(at, '}', true);
	if (*at == '[')
		return take_list(at, ']', false);
	if (*at == '"')
		return take_string(at);
	if (strncmp(at, "null", 4) == 0 || strncmp(at, "true", 4) == 0)
		return at + 4;
	if (strncmp(at, "false", 5) == 0)
		return at + 5;
	/* Whole numbers alone. */
	at += *at == '-';
	assert_true(isdigit((unsigned char)*at));
	return at + strspn(at, "0123456789");
}

static void
assert_utf8(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at;) {
		int more = *at < 0x80 ? 0 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;

		assert_true(*at < 0x80 || (*at >= 0xc2 && *at <= 0xf4));
		for (at++; more; more--, at++)
			assert_int_equal(*at & 0xc0, 0x80);
	}
}

static void
it_is_json_in_utf8_whatever_the_names(void **state)
{
	struct vmt_report report = fixture_report();
	char *text = print(&report, (struct vmt_json_options){.top = SIZE_MAX});

	(void)state;
	assert_utf8(text);
	assert_int_equal(*skip_blanks(take_value(skip_blanks(text))), '\0');
	free(text);
}

static const char *const interface_keys[] = {
    "schema",
    "history",
    "process",
    "other_pid_namespace",
    "traces_removed",
    "pid",
    "exe",
    "cmdline",
    "start_unix_ns",
    "duration_ns",
    "end",
    "go_version",
    "snapshot",
    "time_ns",
    "rss_bytes",
    "virtual_bytes",
    "swap_bytes",
    "lazyfree_bytes",
    "huge_bytes",
    "index",
    "count",
    "totals",
    "reserved_bytes",
    "accessible_bytes",
    "committed_bytes",
    "unattributed_bytes",
    "vmtrace_bytes",
    "file_bytes",
    "classes",
    "name",
    "sites",
    "kind",
    "stack_id",
    "live_count",
    "total_reserved_bytes",
    "released_bytes",
    "released_committed_bytes",
    "released_committed_is_estimate",
    "frames",
    "function",
    "file",
    "line",
    "module",
    "address",
    "advice",
    "calls",
    "bytes",
    "committed_before_bytes",
    "committed_before_is_estimate",
    "rss",
    "loss",
    "events_dropped",
    "stacks_dropped",
    "slots_abandoned",
    "events_missing",
    "events_thinned",
    "max_bytes",
    "thinned_from_ns",
    "full_from_ns",
    "events_unknown",
    "chunks_unknown",
    "cut_bytes",
    "cut",
    "coverage",
    "stacks",
    "malloc",
    "malloc_sample_bytes",
    "go_sites",
    "blind_spots",
};

static void
every_key_of_the_interface_is_there(void **state)
{
	struct vmt_report report = fixture_report();
	char *text = print(&report, (struct vmt_json_options){.top = SIZE_MAX});

	(void)state;
	for (size_t i = 0; i < sizeof(interface_keys) / sizeof(*interface_keys); i++) {
		char quoted[64];

		snprintf(quoted, sizeof(quoted), "\"%s\":", interface_keys[i]);
		if (!strstr(text, quoted))
			print_error("missing: %s\n", quoted);
		assert_non_null(strstr(text, quoted));
	}
	free(text);
}

static void
assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("missing %s in:\n%s\n", part, text);
	assert_non_null(strstr(text, part));
}

static void
figures_are_whole_and_unknown_ones_null(void **state)
{
	struct vmt_report report = fixture_report();
	char *text;

	(void)state;
	report.snapshot.rss_bytes = UINT64_C(9007199254740993);
	text = print(&report, (struct vmt_json_options){.top = SIZE_MAX});
	assert_has(text, "\"schema\": \"vmtrace-report/1\"");
	assert_has(text, "\"rss_bytes\": 9007199254740993");
	assert_has(text, "\"lazyfree_bytes\": null");
	assert_has(text, "\"private_bytes\": null,\n      \"shared_bytes\": null");
	assert_has(text, "\"limit_bytes\": null");
	assert_has(text, "\"address\": \"0x7f0000001000\"");
	assert_has(text, "\"estimate\": true");
	assert_has(text, "\"end_status\": 3");
	free(text);
}

static size_t
count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (; (text = strstr(text, part)); text++)
		count++;
	return count;
}

static void
sites_are_ranked_and_cut(void **state)
{
	struct vmt_report report = fixture_report();
	char *text = print(&report, (struct vmt_json_options){.top = SIZE_MAX});

	(void)state;
	assert_int_equal(count_of(text, "\"stack_id\":"), 4);
	assert_true(strstr(text, "\"stack_id\": 2") < strstr(text, "\"stack_id\": 1,"));
	free(text);
	text = print(&report, (struct vmt_json_options){.top = 1, .rank = VMT_RANK_COUNT});
	assert_int_equal(count_of(text, "\"stack_id\":"), 1);
	assert_has(text, "\"stack_id\": 0");
	free(text);
}

static void
a_full_disk_is_an_error(void **state)
{
	struct vmt_report report = fixture_report();
	struct vmt_json_options options = {.top = SIZE_MAX};
	struct vmt_err err = {""};
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_true(vmt_json_print(&report, &options, full, &err) < 0);
	assert_string_not_equal(err.text, "");
	fclose(full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_json_in_utf8_whatever_the_names),
	    cmocka_unit_test(every_key_of_the_interface_is_there),
	    cmocka_unit_test(figures_are_whole_and_unknown_ones_null),
	    cmocka_unit_test(sites_are_ranked_and_cut),
	    cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
