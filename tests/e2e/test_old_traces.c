/*
 * test_old_traces.c: are the traces of earlier versions still read, with the figures of then?
 *
 * tests/data has them (its README says what they are of). The constants were noted from the report
 * of the version that recorded them. Names are not asked for: the programs are gone.
 */
#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct old_trace {
	const char *name;
	const char *end;
	int64_t end_status;
	int64_t events;
	int64_t events_missing;
	int64_t snapshots;
	int64_t rss_bytes; /* of the report's snapshot */
	int64_t unattributed_bytes;
	int64_t live_blocks;
	int64_t live_block_bytes;
};

static const struct old_trace old_traces[] = {
    {"v5/off", "exit", 0, 23, 0, 3, 11833344, 0, 0, 0},
    {"v5/sampled", "exit", 0, 408, 0, 3, 12124160, 0, 0, 0},
    {"v5/all", "exit", 0, 411, 0, 3, 10997760, 0, 3, 864},
    {"v5/child", "exit", 7, 31, 0, 2, 13824000, 0, 1, 300000},
    {"v5/cut", "exit", 0, 210, 201, 2, 10997760, 5476352, 195, 3840864},
    {"v5/killed", "cut", 0, 218, 0, 1, 1376256, 0, 195, 3840864},
    {"v5/go", "exit", 0, 73, 0, 8, 29589504, 0, 0, 0},
    {"v6/packed", "exit", 0, 21, 0, 1, 3284992, 0, 2, 8192},
    {"v6/go", "exit", 0, 101, 0, 6, 36728832, 0, 0, 0},
    {"v6/attach", "exit", 0, 76, 0, 4, 36806656, 0, 0, 0},
    {"v6/shared", "exit", 0, 270, 0, 1, 2256896, 0, 256, 4096},
};

struct old_site {
	const char *trace;
	const char *kind;
	int64_t stack_id;
	int64_t count;
	int64_t total_reserved_bytes;
	int64_t released_bytes;
	int64_t committed_bytes;
};

static const struct old_site old_sites[] = {
    {"v5/off", "mmap", 10, 1, 8388608, 0, 4194304},
    {"v5/off", "mremap", 38, 1, 6291456, 0, 1048576},
    {"v5/off", "mmap", 16, 1, 4194304, 1048576, 1048576},
    {"v5/off", "mmap", 32, 1, 1048576, 1048576, 0},
    {"v5/sampled", "malloc", 5, 192, 3840000, 3840000, 3840000},
    {"v5/sampled", "mremap", 43, 1, 6291456, 0, 1048576},
    {"v5/all", "mmap", 28, 1, 8388608, 0, 4194304},
    {"v5/all", "malloc", 23, 192, 3840000, 3840000, 3840000},
    {"v5/all", "mmap", 34, 1, 4194304, 1048576, 1048576},
    {"v5/all", "calloc", 9, 3, 864, 0, 864},
    {"v5/child", "mmap", 6, 1, 2097152, 0, 2097152},
    {"v5/child", "malloc", 12, 1, 300000, 0, 300000},
    {"v5/cut", "malloc", 23, 192, 3840000, 0, 3840000},
    {"v5/killed", "mmap", 28, 1, 8388608, 0, 0},
    {"v5/killed", "mremap", 56, 1, 6291456, 0, 0},
    {"v5/killed", "malloc", 23, 192, 3840000, 0, 0},
    {"v5/go", "mmap", 407, 6, 25165824, 0, 22020096},
    {"v5/go", "mmap", 146, 1, 4194304, 0, 3567616},
    {"v6/packed", "mmap", 27, 1, 1048576, 0, 1048576},
    {"v6/packed", "malloc", 10, 1, 472, 472, 0},
    {"v6/go", "mmap", 380, 7, 29360128, 0, 26738688},
    {"v6/go", "mmap", 318, 1, 4194304, 0, 3698688},
    {"v6/attach", "mmap", 16, 4, 16777216, 0, 14155776},
    {"v6/shared", "malloc", 14, 1, 16, 0, 16},
    {"v6/shared", "malloc", 1074, 1, 16, 0, 16},
};

/* Unpacks a trace; its path. */
static const char *
unpacked(const char *name)
{
	char script[8192];
	struct run run;
	const char *path = scratch_file("old.vmt");

	snprintf(script, sizeof(script), "exec gzip -dc tests/data/%s.vmt.gz > '%s'", name, path);
	run_program(&run, (const char *const[]){"/bin/sh", "-c", script, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return path;
}

static json_t *
site_by_stack(json_t *report, const char *kind, int64_t stack_id)
{
	json_t *site;
	size_t i;

	json_array_foreach(member(report, "sites"), i, site)
	{
		if (number(site, "stack_id") == stack_id &&
		    strcmp(json_string_value(member(site, "kind")), kind) == 0)
			return site;
	}
	fail_msg("no site %s of stack %lld", kind, (long long)stack_id);
	return NULL;
}

static void
check_sites(json_t *report, const char *trace)
{
	size_t checked = 0;

	for (size_t i = 0; i < sizeof(old_sites) / sizeof(*old_sites); i++) {
		const struct old_site *old = &old_sites[i];

		if (strcmp(old->trace, trace) != 0)
			continue;
		json_t *site = site_by_stack(report, old->kind, old->stack_id);

		assert_int_equal(number(site, "count"), old->count);
		assert_int_equal(number(site, "total_reserved_bytes"), old->total_reserved_bytes);
		assert_int_equal(number(site, "released_bytes"), old->released_bytes);
		assert_int_equal(number(site, "committed_bytes"), old->committed_bytes);
		checked++;
	}
	assert_true(checked > 0);
}

static void
check_old_trace(const struct old_trace *old)
{
	json_t *report_of_old = report(unpacked(old->name), NULL);
	json_t *process = member(report_of_old, "process");
	json_t *totals = member(report_of_old, "totals");
	json_t *loss = member(report_of_old, "loss");
	json_t *snapshot = member(report_of_old, "snapshot");

	check_report(report_of_old);
	assert_string_equal(json_string_value(member(process, "end")), old->end);
	assert_int_equal(number(process, "end_status"), old->end_status);
	assert_int_equal(number(loss, "events"), old->events);
	assert_int_equal(number(loss, "events_missing"), old->events_missing);
	assert_int_equal(number(snapshot, "count"), old->snapshots);
	assert_int_equal(number(snapshot, "rss_bytes"), old->rss_bytes);
	assert_int_equal(number(totals, "unattributed_bytes"), old->unattributed_bytes);
	assert_int_equal(number(totals, "live_blocks"), old->live_blocks);
	assert_int_equal(number(totals, "live_block_bytes"), old->live_block_bytes);
	assert_int_equal(number(totals, "double_acquisitions"), 0);
	assert_int_equal(number(totals, "unknown_releases"), 0);
	check_sites(report_of_old, old->name);
	json_decref(report_of_old);
}

static void
test_reports_have_the_figures_of_then(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(old_traces) / sizeof(*old_traces); i++) {
		print_message("%s\n", old_traces[i].name);
		check_old_trace(&old_traces[i]);
	}
}

/* The program and its map are gone: their names are in the trace. */
static void
test_a_packed_trace_has_its_names(void **state)
{
	json_t *whole = report(unpacked("v6/packed"), NULL);
	json_t *packed = member(member(whole, "trace"), "packed");
	json_t *site = find_site(whole, "mmap", "take_memory", 1);
	json_t *frames;

	(void)state;
	assert_int_equal(number(packed, "modules"), 3);
	assert_int_equal(number(packed, "addresses"), 73);
	assert_non_null(site);
	frames = member(site, "frames");
	assert_int_equal(number(json_array_get(frames, 0), "line"), 27);
	assert_string_equal(json_string_value(member(json_array_get(frames, 1), "function")),
			    "hot (or other code)");
	assert_int_equal(number(json_array_get(frames, 1), "line"), 12);
	json_decref(whole);
}

static void
check_go(const char *name, int64_t spans, int64_t samples)
{
	json_t *whole = report(unpacked(name), NULL);
	json_t *go = member(whole, "go");

	assert_string_equal(json_string_value(member(go, "version")), "go1.24.4");
	assert_int_equal(number(go, "spans"), spans);
	assert_int_equal(number(go, "goroutines"), 8);
	assert_int_equal(number(member(whole, "touch"), "samples"), samples);
	json_decref(whole);
}

/* The inside of a Go heap, its memory profile, and who touched it: of a program that was recorded
 * from its start, and of one that ran already. */
static void
test_static_go_programs(void **state)
{
	json_t *whole = report(unpacked("v6/go"), NULL);
	json_t *first = json_array_get(member(whole, "committed_by"), 0);

	(void)state;
	assert_int_equal(number(first, "committed_bytes"), 32 << 20);
	assert_string_equal(
	    json_string_value(member(json_array_get(member(first, "frames"), 0), "function")),
	    "main.grow");
	assert_int_equal(number(member(whole, "go"), "profile_entries"), 2);
	json_decref(whole);
	check_go("v6/go", 69, 128);
	check_go("v6/attach", 72, 506);
}

/* The addresses of a stack, in text; inlined functions have none of their own. */
static size_t
addresses_of(json_t *site, char *text, size_t room)
{
	json_t *frame;
	size_t length = 0;
	size_t count = 0;
	size_t i;

	json_array_foreach(member(site, "frames"), i, frame)
	{
		if (json_is_true(json_object_get(frame, "inlined")))
			continue;
		length += (size_t)snprintf(text + length, room - length, " %s",
					   json_string_value(member(frame, "address")));
		assert_true(length < room);
		count++;
	}
	return count;
}

/* 256 paths of eight calls each: every stack is whole, and no two are equal. */
static void
test_stacks_that_share_frames(void **state)
{
	static char stacks[256][512];
	json_t *whole = report(unpacked("v6/shared"), NULL);
	json_t *sites = member(whole, "sites");
	json_t *site;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(sites), 256);
	json_array_foreach(sites, i, site)
	{
		assert_int_equal(addresses_of(site, stacks[i], sizeof(stacks[i])), 13);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(stacks[k], stacks[i]);
	}
	site = site_by_stack(whole, "malloc", 14);
	(void)addresses_of(site, stacks[0], sizeof(stacks[0]));
	assert_string_equal(
	    stacks[0], " 0x5636b00382b0 0x5636b00382e6 0x5636b00382e6 0x5636b00382e6 0x5636b00382e6"
		       " 0x5636b00382e6 0x5636b00382e6 0x5636b00382e6 0x5636b0038340 0x5636b003837a"
		       " 0x7f1d3c1e824a 0x7f1d3c1e8305 0x5636b00380e1");
	json_decref(whole);
}

/* A dump has every event; the account of the report says how many. */
static void
test_dumps_have_every_event(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(old_traces) / sizeof(*old_traces); i++) {
		const char *path = unpacked(old_traces[i].name);
		json_t *losses = dump(path, "loss");

		assert_int_equal(json_array_size(losses), 1);
		assert_int_equal(number(json_array_get(losses, 0), "events_read"),
				 old_traces[i].events);
		json_decref(losses);
	}
}

static void
test_two_of_then_are_compared(void **state)
{
	char before[4096];
	struct run run;

	(void)state;
	snprintf(before, sizeof(before), "%s.all", scratch_file("old.vmt"));
	assert_int_equal(rename(unpacked("v5/all"), before), 0);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", "--format", "json", before,
					  unpacked("v5/off"), NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, "11833344"));
	/* Of which pages others had as well nothing was asked then. */
	assert_non_null(says(run.out, "\"shared_bytes\": null"));
	assert_null(says(run.out, "\"shared_bytes\": {"));
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reports_have_the_figures_of_then),
	    cmocka_unit_test(test_a_packed_trace_has_its_names),
	    cmocka_unit_test(test_static_go_programs),
	    cmocka_unit_test(test_stacks_that_share_frames),
	    cmocka_unit_test(test_dumps_have_every_event),
	    cmocka_unit_test(test_two_of_then_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
