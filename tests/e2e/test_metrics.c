/*
 * test_metrics.c: has what tools for metrics and timelines read the figures of the report?
 *
 * Perfetto's form as protoc decodes it, OpenMetrics as promtool judges it and as a Prometheus
 * stores what it scrapes.
 */
#include "tests/e2e/exports.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/trees.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS 120000

static const char *trace;

static int
make_trace(void **state)
{
	static char path[4096];
	const char *const argv[] = {built("tests/target/cache_demo"), NULL};
	struct run run;

	(void)state;
	prefer_system_programs();
	snprintf(path, sizeof(path), "%s", scratch_file("demo.vmt"));
	trace = path;
	record(&run, trace, (const char *const[]){"--malloc", "all", NULL}, argv);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return 0;
}

static void
run_shell(struct run *run, const char *script, const char *argument, const char *other)
{
	const char *const argv[] = {"sh", "-c", script, "sh", argument, other, NULL};

	run_program(run, argv, NULL);
	if (run->exit_status != 0)
		fail_msg("%s: %d %s%s", script, run->exit_status, run->err, run->out);
}

/* The decoded trace; to be freed. */
static void
decode(struct run *run)
{
	const char *path = scratch_file("demo.pftrace");

	exports_write(trace, "perfetto", path, NULL, NULL);
	run_shell(run,
		  "protoc -I \"$(dirname \"$1\")\" --decode=perfetto.protos.Trace \"$1\" <\"$2\"",
		  script_file("perfetto.proto"), path);
}

/* The text of one packet, in place; *at goes on to the next. NULL: there is no more. */
static char *
next_packet(char **at)
{
	char *packet = strncmp(*at, "packet {", 8) == 0 ? *at : NULL;
	char *end = packet ? strstr(packet, "\n}\n") : NULL;

	if (!end)
		return NULL;
	end[1] = '\0';
	*at = end + 3;
	return packet;
}

static uint64_t
field(const char *packet, const char *name)
{
	char begin[64];
	const char *found;

	snprintf(begin, sizeof(begin), " %s: ", name);
	found = strstr(packet, begin);
	return found ? strtoull(found + strlen(begin), NULL, 10) : UINT64_MAX;
}

/* Text between quotation marks as protoc --decode prints it: a \ stands before each quotation mark,
 * apostrophe and backslash. */
static void
escape(const char *text, char *escaped, size_t escaped_bytes)
{
	size_t used = 0;

	for (; *text; text++) {
		assert_true(used + 2 < escaped_bytes);
		if (strchr("\"'\\", *text))
			escaped[used++] = '\\';
		escaped[used++] = *text;
	}
	escaped[used] = '\0';
}

/* Number of the track of a name, 0 where there is none; fails where its unit is not bytes. */
static uint64_t
find_track(const char *text, const char *name)
{
	char *copy = strdup(text);
	char *at = copy;
	char escaped[256];
	char line[300];
	uint64_t uuid = 0;

	escape(name, escaped, sizeof(escaped));
	snprintf(line, sizeof(line), " name: \"%s\"\n", escaped);
	for (char *packet = next_packet(&at); packet; packet = next_packet(&at)) {
		if (!strstr(packet, "track_descriptor {") || !strstr(packet, line))
			continue;
		assert_non_null(strstr(packet, " unit: UNIT_SIZE_BYTES\n"));
		assert_int_equal(field(packet, "parent_uuid"), 1);
		uuid = field(packet, "uuid");
	}
	free(copy);
	return uuid;
}

/* The value of a counter at a time; UINT64_MAX where it has none. *count: how many it has. */
static uint64_t
counter_at(const char *text, uint64_t track, uint64_t time_ns, size_t *count)
{
	char *copy = strdup(text);
	char *at = copy;
	uint64_t value = UINT64_MAX;

	*count = 0;
	for (char *packet = next_packet(&at); packet; packet = next_packet(&at)) {
		if (!strstr(packet, "TYPE_COUNTER") || field(packet, "track_uuid") != track)
			continue;
		(*count)++;
		if (field(packet, "timestamp") == time_ns)
			value = field(packet, "counter_value");
	}
	free(copy);
	return value;
}

/* As protoc prints it where a thread of the subject had ended at a snapshot. */
static void
test_a_track_with_an_apostrophe_is_found(void **state)
{
	static const char text[] = "packet {\n"
				   "  track_descriptor {\n"
				   "    uuid: 7\n"
				   "    parent_uuid: 1\n"
				   "    name: \"reserved: ended threads\\' stacks\"\n"
				   "    counter {\n"
				   "      unit: UNIT_SIZE_BYTES\n"
				   "    }\n"
				   "  }\n"
				   "}\n";

	(void)state;
	assert_int_equal(find_track(text, "reserved: ended threads' stacks"), 7);
	assert_int_equal(find_track(text, "reserved: ended threads"), 0);
}

static void
test_perfetto_has_the_classes(void **state)
{
	json_t *root = report(trace, NULL);
	json_t *snapshot = member(root, "snapshot");
	json_t *classes = member(root, "classes");
	uint64_t time_ns = (uint64_t)number(snapshot, "time_ns");
	uint64_t sum = 0;
	size_t counted;
	struct run run;

	(void)state;
	decode(&run);
	for (size_t i = 0; i < json_array_size(classes); i++) {
		json_t *class = json_array_get(classes, i);
		const char *name = json_string_value(member(class, "name"));
		char track[128];
		uint64_t committed = (uint64_t)number(class, "committed_bytes");

		snprintf(track, sizeof(track), "reserved: %s", name);
		assert_int_equal(counter_at(run.out, find_track(run.out, track), time_ns, &counted),
				 number(class, "reserved_bytes"));
		assert_in_range(counted, 1, number(snapshot, "count"));
		snprintf(track, sizeof(track), "in RAM: %s", name);
		if (committed)
			assert_int_equal(
			    counter_at(run.out, find_track(run.out, track), time_ns, &counted),
			    committed);
		sum += committed;
	}
	assert_int_equal(sum, number(snapshot, "rss_bytes"));
	run_free(&run);
	json_decref(root);
}

static void
test_perfetto_has_the_line_of_rss(void **state)
{
	json_t *root = report(trace, NULL);
	json_t *points = member(root, "rss");
	struct run run;
	uint64_t track;

	(void)state;
	decode(&run);
	track = find_track(run.out, "RSS");
	assert_int_not_equal(track, 0);
	for (size_t i = 0; i < json_array_size(points); i++) {
		json_t *point = json_array_get(points, i);
		size_t count;

		assert_int_equal(counter_at(run.out, track,
					    (uint64_t)json_integer_value(json_array_get(point, 0)),
					    &count),
				 json_integer_value(json_array_get(point, 1)));
		assert_int_equal(count, json_array_size(points));
	}
	assert_non_null(says(run.out, "name: \"peak RSS "));
	assert_non_null(says(run.out, "name: \"exit status 0\""));
	assert_non_null(says(run.out, "tests/target/cache_demo\"\n"));
	run_free(&run);
	json_decref(root);
}

/* The value of a line that begins with `series`. */
static json_int_t
value_of(const char *text, const char *series)
{
	const char *found = says(text, series);

	if (!found)
		fail_msg("no series %s in\n%s", series, text);
	return strtoll(found + strlen(series), NULL, 10);
}

static const char *
series_of(const char *name, json_t *root, const char *class)
{
	static char series[1024];
	const char *exe = json_string_value(member(member(root, "process"), "exe"));

	snprintf(series, sizeof(series), "\n%s{exe=\"%s\"%s%s%s} ", name, exe,
		 class ? ",class=\"" : "", class ? class : "", class ? "\"" : "");
	return series;
}

static void
test_openmetrics_has_the_figures(void **state)
{
	static const char *const figures[] = {"reserved_bytes", "committed_bytes", "swapped_bytes",
					      "never_touched_bytes"};
	json_t *root = report(trace, NULL);
	json_t *classes = member(root, "classes");
	const char *path = scratch_file("demo.om");
	struct run run;

	(void)state;
	exports_write(trace, "openmetrics", path, NULL, NULL);
	run_shell(&run, "cat \"$1\"", path, NULL);
	assert_string_equal(run.out + run.out_bytes - 7, "\n# EOF\n");
	assert_int_equal(value_of(run.out, series_of("vmtrace_rss_bytes", root, NULL)),
			 number(member(root, "snapshot"), "rss_bytes"));
	assert_int_equal(value_of(run.out, series_of("vmtrace_recorded_events", root, NULL)),
			 number(member(root, "loss"), "events"));
	for (size_t i = 0; i < json_array_size(classes); i++) {
		json_t *class = json_array_get(classes, i);

		for (size_t j = 0; j < sizeof(figures) / sizeof(*figures); j++) {
			char name[64];

			snprintf(name, sizeof(name), "vmtrace_%s", figures[j]);
			assert_int_equal(
			    value_of(run.out, series_of(name, root,
							json_string_value(member(class, "name")))),
			    number(class, figures[j]));
		}
	}
	run_free(&run);
	json_decref(root);
}

static void
test_promtool_takes_it(void **state)
{
	const char *path = scratch_file("demo.om");
	struct run run;

	(void)state;
	exports_write(trace, "openmetrics", path, NULL, NULL);
	run_shell(&run, "promtool check metrics <\"$1\"", path, NULL);
	assert_string_equal(run.out, "");
	assert_string_equal(run.err, "");
	run_free(&run);
}

/* A program with a name that a label can't have as it is. */
static void
test_labels_are_escaped(void **state)
{
	char program[4096];
	const char *strange = scratch_file("strange.vmt");
	const char *path = scratch_file("strange.om");
	struct run run;

	(void)state;
	snprintf(program, sizeof(program), "%s", scratch_file("a\"b\\c\nd"));
	run_shell(&run, "cp \"$1\" \"$2\"", built("tests/target/cache_demo"), program);
	run_free(&run);
	record(&run, strange, NULL, (const char *const[]){program, NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	exports_write(strange, "openmetrics", path, NULL, NULL);
	run_shell(&run, "promtool check metrics <\"$1\" && cat \"$1\"", path, NULL);
	assert_non_null(says(run.out, "/a\\\"b\\\\c?d\""));
	run_free(&run);
}

/* What a Prometheus has stored of RSS, once it has; NULL: it has ended. */
static json_t *
scraped(pid_t server, unsigned port, int64_t deadline_ms)
{
	char url[128];
	struct run run;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/api/v1/query?query=vmtrace_rss_bytes",
		 port);
	while (exports_fetch(&run, server, url, deadline_ms)) {
		json_t *answer = json_loads(run.out, 0, NULL);
		json_t *result = json_object_get(json_object_get(answer, "data"), "result");

		run_free(&run);
		if (json_array_size(result) > 0)
			return answer;
		json_decref(answer);
		if (now_ms() > deadline_ms)
			fail_msg("Prometheus has scraped nothing");
		poll(NULL, 0, 100);
	}
	return NULL;
}

/* What a Prometheus with that configuration has scraped. */
static json_t *
scrape(const char *configuration)
{
	int64_t deadline_ms = now_ms() + LIMIT_MS;
	json_t *answer = NULL;

	for (int i = 0; i < EXPORTS_TRIES && !answer; i++) {
		unsigned port = exports_free_port();
		char listen[64];

		snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%u", port);
		pid_t server = exports_serve((const char *const[]){
		    "prometheus", variable("--config.file", configuration),
		    variable("--storage.tsdb.path", scratch_file("stored")), listen, NULL});

		answer = scraped(server, port, deadline_ms);
		if (answer)
			exports_stop(server);
	}
	assert_non_null(answer);
	return answer;
}

static void
test_prometheus_scrapes_it(void **state)
{
	static struct conversation server;
	char directory[4096];
	json_t *root = report(trace, NULL);
	json_t *answer;
	json_t *series;
	struct run run;

	(void)state;
	snprintf(directory, sizeof(directory), "%s", scratch_file("scraped"));
	assert_int_equal(mkdir(directory, 0700), 0);
	converse_start(
	    &server,
	    (const char *const[]){"python3", script_file("serve_metrics.py"), directory, NULL},
	    NULL);
	converse_read_line(&server);
	run_shell(
	    &run,
	    "cd \"$1\" && printf '%s\n' 'global: {scrape_interval: 1s}' "
	    "'scrape_configs:' '- job_name: vmtrace' '  static_configs:' "
	    "\"  - targets: ['127.0.0.1:$2']\" >config.yml && promtool check config config.yml",
	    directory, server.line);
	run_free(&run);
	exports_write(trace, "openmetrics", scratch_file("scraped/metrics"), NULL, NULL);
	answer = scrape(scratch_file("scraped/config.yml"));
	series = json_array_get(member(member(answer, "data"), "result"), 0);
	assert_int_equal(
	    strtoll(json_string_value(json_array_get(member(series, "value"), 1)), NULL, 10),
	    number(member(root, "snapshot"), "rss_bytes"));
	assert_string_equal(json_string_value(member(member(series, "metric"), "exe")),
			    json_string_value(member(member(root, "process"), "exe")));
	json_decref(answer);
	json_decref(root);
	assert_int_equal(converse_end(&server), 0);
}

/* Nobody waits for a server that has ended, or believes who has its port. */
static void
test_a_server_that_ends_is_known(void **state)
{
	static struct conversation other;
	char url[64];
	struct run run;

	(void)state;
	assert_int_equal(fclose(fopen(scratch_file("metrics"), "w")), 0);
	converse_start(
	    &other,
	    (const char *const[]){"python3", script_file("serve_metrics.py"), scratch(), NULL},
	    NULL);
	converse_read_line(&other);
	snprintf(url, sizeof(url), "http://127.0.0.1:%.8s/", other.line);
	pid_t server = exports_serve((const char *const[]){"false", NULL});
	siginfo_t ended;

	assert_int_equal(waitid(P_PID, (id_t)server, &ended, WEXITED | WNOWAIT), 0);
	assert_false(exports_fetch(&run, server, url, now_ms() + LIMIT_MS));
	assert_int_equal(converse_end(&other), 0);
}

/* A test that fails leaves no server. */
static void
test_a_server_ends_with_its_test(void **state)
{
	int ends[2];
	pid_t server;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t test = fork();

	assert_true(test >= 0);
	if (test == 0) {
		server = exports_serve((const char *const[]){"sleep", "1000", NULL});
		_exit(write(ends[1], &server, sizeof(server)) == sizeof(server) ? 0 : 1);
	}
	assert_int_equal(read(ends[0], &server, sizeof(server)), sizeof(server));
	close(ends[0]);
	close(ends[1]);
	trees_wait_gone(server);
	assert_int_equal(waitpid(test, NULL, 0), test);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_track_with_an_apostrophe_is_found),
	    cmocka_unit_test(test_perfetto_has_the_classes),
	    cmocka_unit_test(test_perfetto_has_the_line_of_rss),
	    cmocka_unit_test(test_openmetrics_has_the_figures),
	    cmocka_unit_test(test_promtool_takes_it),
	    cmocka_unit_test(test_labels_are_escaped),
	    cmocka_unit_test(test_prometheus_scrapes_it),
	    cmocka_unit_test(test_a_server_that_ends_is_known),
	    cmocka_unit_test(test_a_server_ends_with_its_test),
	};

	return cmocka_run_group_tests(tests, make_trace, NULL);
}
