/*
 * test_go_server.c: is all of a busy HTTP server's memory explained?
 *
 * tests/go/server, which allocates in Go and in C for every request, under wrk: nearly all of RSS
 * must have an owner, at the peak and at the end, and C's blocks their Go line.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* One block of C's in four is sampled. A busy machine may answer few requests in a second. */
#define ENOUGH_REQUESTS 200

/* How many were answered. None is too late for wrk, which would take two seconds for an error. */
static long
load(const char *port)
{
	char url[64];
	char duration[16];
	const char *const argv[] = {"wrk", "-t1", "-c16", "--timeout", "300s", duration, url, NULL};
	const char *count;
	long answered;
	struct run run;

	snprintf(url, sizeof(url), "http://127.0.0.1:%ld/", strtol(port, NULL, 10));
	snprintf(duration, sizeof(duration), "-d%lds", soak_count(1, 60));
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_null(says(run.out, "Socket errors"));
	assert_null(says(run.out, "Non-2xx"));
	count = says(run.out, " requests in ");
	assert_non_null(count);
	while (count > run.out && count[-1] >= '0' && count[-1] <= '9')
		count--;
	answered = strtol(count, NULL, 10);
	run_free(&run);
	return answered;
}

static void
check_owners(const char *trace, const char *instant)
{
	json_t *root = report(trace, (const char *const[]){"--at", instant, NULL});
	int64_t rss = number(member(root, "snapshot"), "rss_bytes");
	int64_t unattributed = number(member(root, "totals"), "unattributed_bytes");

	check_report(root);
	print_message("%s: RSS %ld, unattributed %ld\n", instant, (long)rss, (long)unattributed);
	assert_true(unattributed * 100 <= rss);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
	assert_true(site_sum(root, "malloc", "session", "committed_bytes") > 0);
	json_decref(root);
}

static void
check_server(const char *version)
{
	static struct conversation talk;
	const char *trace = scratch_file("server.vmt");
	const char *const argv[] = {go_program(version, "server", "", NULL), NULL};
	long answered = 0;
	int status;

	if (system("command -v wrk >/dev/null") != 0) {
		printf("skip: wrk is not installed\n");
		skip();
	}
	remove(trace);
	converse_start(&talk, argv, preloaded(trace));
	converse_read_line(&talk);
	for (int64_t end = now_ms() + 100000; answered < ENOUGH_REQUESTS && now_ms() < end;)
		answered += load(talk.line);
	assert_true(answered >= ENOUGH_REQUESTS);
	status = converse_end(&talk);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check_owners(trace, "peak");
	check_owners(trace, "end");
}

static void
test_server_with_go_1_19(void **state)
{
	(void)state;
	go_need("1.19");
	check_server("1.19");
}

static void
test_server_with_go_1_26(void **state)
{
	(void)state;
	go_need("1.26");
	check_server("1.26");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_server_with_go_1_19),
	    cmocka_unit_test(test_server_with_go_1_26),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
