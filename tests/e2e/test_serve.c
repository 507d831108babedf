/*
 * test_serve.c: does vmtrace-serve say over HTTP what the report says, and nothing to others?
 */
#include "tests/e2e/living.h"
#include "tests/e2e/serving.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
compare_classes(const char *metrics, json_t *root)
{
	size_t i;
	json_t *class;
	int64_t sum = 0;

	json_array_foreach(member(root, "classes"), i, class)
	{
		char name[256];

		snprintf(name, sizeof(name), "\nvmtrace_committed_bytes{exe=\"%s\",class=\"%s\"",
			 json_string_value(member(member(root, "process"), "exe")),
			 json_string_value(member(class, "name")));
		assert_int_equal(serving_metric(metrics, name), number(class, "committed_bytes"));
		sum += number(class, "committed_bytes");
	}
	assert_int_equal(sum, serving_metric(metrics, "\nvmtrace_rss_bytes{"));
	assert_true(sum > 20 << 20);
}

/* A service in a container of its own, whose directory another container has. It ends with the
 * first case, and the last one sees that it is served no longer. */
static struct conversation elsewhere_server;
static unsigned elsewhere_port;

static void
test_a_service_of_another_namespace_is_served(void **state)
{
	static struct conversation service;
	const char *place = scratch_file("elsewhere");
	char line[] = "keep\n", other[4096];
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){"unshare", "-Urpf", "--mount-proc", "true", NULL},
		    NULL);
	if (run.exit_status != 0) {
		run_free(&run);
		skip();
	}
	run_free(&run);
	assert_int_equal(mkdir(place, 0700), 0);
	snprintf(other, sizeof(other), "%s/other.vmt", place);
	converse_start(&service,
		       (const char *const[]){"unshare", "-Urpf", "--mount-proc", "--kill-child",
					     "env", preloaded(other)[0], preloaded(other)[1],
					     built("tests/target/moments"), NULL},
		       NULL);
	converse_read_line(&service);
	assert_true(write(service.to, line, strlen(line)) > 0);
	converse_read_line(&service);
	living_snapshot(other);
	elsewhere_port = serving_start_in(&elsewhere_server, place, NULL);
	serving_ask(&run, elsewhere_port, "/metrics", NULL);
	assert_int_equal(serving_metric(run.out, "\nvmtrace_processes{"), 1);
	assert_true(serving_metric(run.out, "\nvmtrace_rss_bytes{") > 20 << 20);
	run_free(&run);
	run_program(&run, (const char *const[]){built("vmtrace"), "top", "--once", place, NULL},
		    NULL);
	assert_true(says(run.out, "1 run, 0 ended"));
	run_free(&run);
	(void)converse_end(&service);
}

static void
test_a_service_that_has_ended_elsewhere_is_not(void **state)
{
	int64_t deadline_ms = now_ms() + SERVING_LIMIT_MS;

	(void)state;
	if (elsewhere_port == 0)
		skip();
	for (;;) {
		struct run run;
		bool is_gone;

		serving_ask(&run, elsewhere_port, "/metrics", NULL);
		is_gone = serving_metric(run.out, "\nvmtrace_processes{") == -1;
		run_free(&run);
		if (is_gone)
			break;
		if (now_ms() > deadline_ms)
			fail_msg("what has ended is served");
		poll(NULL, 0, 200);
	}
	serving_stop(&elsewhere_server);
}

/* A snapshot may come between two looks: until a look before and one after say the same. */
static void
test_metrics_are_the_figures_of_the_report(void **state)
{
	static struct conversation server;
	unsigned port = serving_start(&server, NULL);
	int64_t deadline_ms = now_ms() + SERVING_LIMIT_MS;

	(void)state;
	for (;;) {
		json_t *before = report(serving_trace, NULL);
		struct run run;

		serving_ask(&run, port, "/metrics", NULL);
		json_t *after = report(serving_trace, NULL);

		assert_int_equal(serving_status(&run), 200);
		if (json_equal(member(before, "snapshot"), member(after, "snapshot")) &&
		    serving_metric(run.out, "\nvmtrace_rss_bytes{") ==
			number(member(before, "snapshot"), "rss_bytes")) {
			compare_classes(run.out, before);
			assert_int_equal(serving_metric(run.out, "\nvmtrace_processes{"), 1);
			json_decref(before);
			json_decref(after);
			run_free(&run);
			break;
		}
		json_decref(before);
		json_decref(after);
		run_free(&run);
		if (now_ms() > deadline_ms)
			fail_msg("metrics and report never agree");
		poll(NULL, 0, 100);
	}
	serving_stop(&server);
}

static void
test_promtool_takes_the_metrics(void **state)
{
	static struct conversation server;
	unsigned port = serving_start(&server, (const char *const[]){"--pid", NULL});
	struct run run;
	char pid[64];

	(void)state;
	shell("curl --silent --noproxy '*' http://127.0.0.1:%u/metrics >'%s'", port,
	      scratch_file("metrics.txt"));
	shell("promtool check metrics <'%s' 2>&1 | grep -v 'no help text' >'%s' || :",
	      scratch_file("metrics.txt"), scratch_file("judged"));
	run_program(&run, (const char *const[]){"cat", scratch_file("judged"), NULL}, NULL);
	assert_string_equal(run.out, "");
	run_free(&run);
	serving_ask(&run, port, "/metrics", NULL);
	snprintf(pid, sizeof(pid), ",pid=\"%d\"} ", (int)serving_program.pid);
	assert_non_null(strstr(run.out, pid));
	assert_non_null(strstr(run.out, "# EOF\n"));
	run_free(&run);
	serving_stop(&server);
}

static void
test_a_profile_names_the_call(void **state)
{
	static struct conversation server;
	unsigned port = serving_start(&server, NULL);
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/debug/pprof/heap?pid=%d", (int)serving_program.pid);
	shell("curl --silent --noproxy '*' 'http://127.0.0.1:%u%s' | gunzip >'%s'", port, path,
	      scratch_file("heap.pb"));
	shell("grep -q map_kept '%s' && grep -q committed_space '%s'", scratch_file("heap.pb"),
	      scratch_file("heap.pb"));
	serving_expect(port, "/debug/pprof/allocs?exe=moments", NULL, 200);
	serving_expect(port, "/debug/pprof/allocs?exe=another", NULL, 404);
	serving_expect(port, "/debug/pprof/heap?pid=1", NULL, 404);
	serving_stop(&server);
}

static void
test_the_page_and_the_targets(void **state)
{
	static struct conversation server;
	unsigned port = serving_start(&server, NULL);
	char number_text[32];
	json_t *targets;
	struct run run;

	(void)state;
	serving_ask(&run, port, "/", NULL);
	assert_int_equal(serving_status(&run), 200);
	assert_non_null(strstr(run.out, "<!doctype html>"));
	run_free(&run);
	serving_ask(&run, port, "/sd", NULL);
	*strrchr(run.out, '\n') = '\0';
	targets = json_loads(run.out, 0, NULL);
	assert_int_equal(json_array_size(targets), 1);
	snprintf(number_text, sizeof(number_text), "%d", (int)serving_program.pid);
	assert_string_equal(
	    json_string_value(member(member(json_array_get(targets, 0), "labels"), "__param_pid")),
	    number_text);
	json_decref(targets);
	run_free(&run);
	serving_stop(&server);
}

/* A trace under several names is one process, and a compressed one is of none. */
static void
test_copies_count_once(void **state)
{
	static struct conversation server;
	unsigned port;
	struct run run;

	(void)state;
	shell("cd '%s' && cp moments.vmt copy.vmt && ln moments.vmt link.vmt && "
	      "ln -s moments.vmt to.vmt && gzip -1 <moments.vmt >packed.vmt.gz && "
	      "gzip -1 <moments.vmt >packed.vmt",
	      serving_directory);
	port = serving_start(&server, NULL);
	serving_ask(&run, port, "/metrics", NULL);
	assert_int_equal(serving_metric(run.out, "\nvmtrace_processes{"), 1);
	assert_int_equal(serving_unread(run.out), 0);
	run_free(&run);
	shell("cd '%s' && rm -f copy.vmt link.vmt to.vmt packed.vmt packed.vmt.gz",
	      serving_directory);
	serving_stop(&server);
}

/* The address by which it was asked, as "every address" is none; with each of them its own answer.
 */
static void
test_targets_are_where_it_was_asked(void **state)
{
	static struct conversation server;
	unsigned port =
	    serving_start(&server, (const char *const[]){"--listen", "0.0.0.0:0", "--insecure",
							 "--host", "here.example", NULL});
	struct run run;

	(void)state;
	serving_ask(&run, port, "/sd", (const char *const[]){"-H", "Host: 10.1.2.3:99", NULL});
	assert_non_null(strstr(run.out, "\"10.1.2.3:99\""));
	run_free(&run);
	serving_ask(&run, port, "/sd", (const char *const[]){"-H", "Host: here.example:98", NULL});
	assert_non_null(strstr(run.out, "\"here.example:98\""));
	assert_null(strstr(run.out, "0.0.0.0"));
	run_free(&run);
	serving_expect(port, "/sd", (const char *const[]){"-H", "Host: 10.1.2.3:99\"", NULL}, 400);
	serving_stop(&server);
}

static void
test_a_connection_is_kept(void **state)
{
	static struct conversation server;
	unsigned port = serving_start(&server, NULL);
	char url[64];
	struct run run;

	(void)state;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/sd", port);
	run_program(&run,
		    (const char *const[]){"curl", "--silent", "--noproxy", "*", "--max-time", "100",
					  "--write-out", "\nnew=%{num_connects}\n", url, url, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(strstr(run.out, "\nnew=1\n"));
	assert_non_null(strstr(run.out, "\nnew=0\n"));
	run_free(&run);
	serving_expect(port, "/sd",
		       (const char *const[]){"--request", "GET", "--data", "body", NULL}, 400);
	serving_stop(&server);
}

/* SIGHUP that it was started to ignore. */
static void
test_it_outlives_a_terminal_under_nohup(void **state)
{
	static struct conversation server;
	unsigned port;

	(void)state;
	signal(SIGHUP, SIG_IGN);
	port = serving_start(&server, NULL);
	signal(SIGHUP, SIG_DFL);
	assert_int_equal(kill(server.pid, SIGHUP), 0);
	serving_expect(port, "/sd", NULL, 200);
	serving_stop(&server);
}

/* Names of metrics are an interface: rules and dashboard use those that are served. */
static void
test_rules_and_dashboard_use_what_is_served(void **state)
{
	static struct conversation server;
	unsigned port = serving_start(&server, NULL);

	(void)state;
	shell("curl --silent --noproxy '*' http://127.0.0.1:%u/metrics | sed -n 's/[{ ].*//p' | "
	      "sort -u >'%s'",
	      port, scratch_file("served"));
	shell("grep -oh '\\bvmtrace_[a-z_]*' docs/fleet/rules.yml docs/fleet/dashboard.json | "
	      "sort -u >'%s' && test -s '%s' && test -z \"$(comm -13 '%s' '%s')\"",
	      scratch_file("used"), scratch_file("used"), scratch_file("served"),
	      scratch_file("used"));
	serving_stop(&server);
}

static void
test_rules_fire_when_they_should(void **state)
{
	struct run run;

	(void)state;
	need_program("promtool");
	run_program(
	    &run,
	    (const char *const[]){"promtool", "test", "rules", "docs/fleet/rules_test.yml", NULL},
	    NULL);
	if (run.exit_status != 0)
		fail_msg("%s%s", run.out, run.err);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_service_of_another_namespace_is_served),
	    cmocka_unit_test(test_metrics_are_the_figures_of_the_report),
	    cmocka_unit_test(test_promtool_takes_the_metrics),
	    cmocka_unit_test(test_a_profile_names_the_call),
	    cmocka_unit_test(test_the_page_and_the_targets),
	    cmocka_unit_test(test_copies_count_once),
	    cmocka_unit_test(test_targets_are_where_it_was_asked),
	    cmocka_unit_test(test_a_connection_is_kept),
	    cmocka_unit_test(test_it_outlives_a_terminal_under_nohup),
	    cmocka_unit_test(test_rules_and_dashboard_use_what_is_served),
	    cmocka_unit_test(test_rules_fire_when_they_should),
	    cmocka_unit_test(test_a_service_that_has_ended_elsewhere_is_not),
	};

	return cmocka_run_group_tests(tests, serving_begin, serving_end);
}
