/*
 * test_serve.c: does vmtrace-serve say over HTTP what the report says, and nothing to others?
 */
#include "tests/e2e/exports.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/living.h"
#include "tests/e2e/trees.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS 120000
#define OPTIONS 8

static char directory[3072];
static char trace[4096];
static struct conversation program;

/* A program that is recorded and waits, with 20 MiB mapped. */
static int
start_program(void **state)
{
	char line[64] = "keep\n";

	(void)state;
	prefer_system_programs();
	need_program("curl");
	snprintf(directory, sizeof(directory), "%s", scratch_file("traces"));
	snprintf(trace, sizeof(trace), "%s/moments.vmt", directory);
	assert_int_equal(mkdir(directory, 0700), 0);
	converse_start(&program, (const char *const[]){built("tests/target/moments"), NULL},
		       preloaded(trace));
	converse_read_line(&program);
	assert_true(write(program.to, line, strlen(line)) > 0);
	converse_read_line(&program);
	living_snapshot(trace);
	return 0;
}

static int
end_program(void **state)
{
	(void)state;
	return converse_end(&program);
}

/* Listens at a free port, which is returned. */
static unsigned
serve_directory(struct conversation *server, const char *traces, const char *const options[])
{
	/* A test that fails leaves no server. */
	const char *argv[OPTIONS + 8] = {"setpriv",  "--pdeathsig", "KILL", built("vmtrace-serve"),
					 "--listen", "127.0.0.1:0", traces};
	unsigned port;

	for (int i = 0; options && options[i]; i++)
		argv[7 + i] = options[i];
	converse_start(server, argv, NULL);
	converse_read_line(server);
	assert_non_null(strstr(server->line, "://"));
	assert_int_equal(sscanf(strstr(server->line, "://"), "://%*[0-9.]:%u", &port), 1);
	return port;
}

static unsigned
serve(struct conversation *server, const char *const options[])
{
	return serve_directory(server, directory, options);
}

static void
stop(struct conversation *server)
{
	int status;

	assert_int_equal(kill(server->pid, SIGTERM), 0);
	status = converse_end(server);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What curl says of a path; more are its options. Answers of any status are answers. */
static void
ask(struct run *run, unsigned port, const char *path, const char *const more[])
{
	const char *argv[OPTIONS + 10] = {
	    "curl",	    "--silent",	   "--noproxy",	    "*", "--max-time", "100",
	    "--path-as-is", "--write-out", "\n%{http_code}"};
	static char url[512];
	int count = 9;

	for (int i = 0; more && more[i]; i++)
		argv[count++] = more[i];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	argv[count] = url;
	run_program(run, argv, NULL);
	if (run->exit_status != 0)
		fail_msg("curl %s: %d %s", url, run->exit_status, run->err);
}

static int
status_of(const struct run *run)
{
	return atoi(strrchr(run->out, '\n') + 1);
}

static void
expect_status(unsigned port, const char *path, const char *const more[], int status)
{
	const char *options[OPTIONS + 1] = {"--output", "/dev/null"};
	struct run run;

	for (int i = 0; more && more[i]; i++)
		options[2 + i] = more[i];
	ask(&run, port, path, options);
	if (status_of(&run) != status)
		fail_msg("%s: %s, not %d", path, run.out, status);
	run_free(&run);
}

/* The value of the one series that begins so; -1: there is none. */
static int64_t
metric(const char *text, const char *beginning)
{
	const char *at = strstr(text, beginning);

	return at ? strtoll(strstr(at, "} ") + 2, NULL, 10) : -1;
}

static int64_t
unread_of(const char *metrics)
{
	static const char name[] = "\nvmtrace_unread_traces ";

	assert_non_null(strstr(metrics, name));
	return strtoll(strstr(metrics, name) + sizeof(name) - 1, NULL, 10);
}

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
		assert_int_equal(metric(metrics, name), number(class, "committed_bytes"));
		sum += number(class, "committed_bytes");
	}
	assert_int_equal(sum, metric(metrics, "\nvmtrace_rss_bytes{"));
	assert_true(sum > 20 << 20);
}

/* A snapshot may come between two looks: until a look before and one after say the same. */
static void
test_metrics_are_the_figures_of_the_report(void **state)
{
	static struct conversation server;
	unsigned port = serve(&server, NULL);
	int64_t deadline_ms = now_ms() + LIMIT_MS;

	(void)state;
	for (;;) {
		json_t *before = report(trace, NULL);
		struct run run;

		ask(&run, port, "/metrics", NULL);
		json_t *after = report(trace, NULL);

		assert_int_equal(status_of(&run), 200);
		if (json_equal(member(before, "snapshot"), member(after, "snapshot")) &&
		    metric(run.out, "\nvmtrace_rss_bytes{") ==
			number(member(before, "snapshot"), "rss_bytes")) {
			compare_classes(run.out, before);
			assert_int_equal(metric(run.out, "\nvmtrace_processes{"), 1);
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
	stop(&server);
}

static void
test_promtool_takes_the_metrics(void **state)
{
	static struct conversation server;
	unsigned port = serve(&server, (const char *const[]){"--pid", NULL});
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
	ask(&run, port, "/metrics", NULL);
	snprintf(pid, sizeof(pid), ",pid=\"%d\"} ", (int)program.pid);
	assert_non_null(strstr(run.out, pid));
	assert_non_null(strstr(run.out, "# EOF\n"));
	run_free(&run);
	stop(&server);
}

static void
test_a_profile_names_the_call(void **state)
{
	static struct conversation server;
	unsigned port = serve(&server, NULL);
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/debug/pprof/heap?pid=%d", (int)program.pid);
	shell("curl --silent --noproxy '*' 'http://127.0.0.1:%u%s' | gunzip >'%s'", port, path,
	      scratch_file("heap.pb"));
	shell("grep -q map_kept '%s' && grep -q committed_space '%s'", scratch_file("heap.pb"),
	      scratch_file("heap.pb"));
	expect_status(port, "/debug/pprof/allocs?exe=moments", NULL, 200);
	expect_status(port, "/debug/pprof/allocs?exe=another", NULL, 404);
	expect_status(port, "/debug/pprof/heap?pid=1", NULL, 404);
	stop(&server);
}

static void
test_the_page_and_the_targets(void **state)
{
	static struct conversation server;
	unsigned port = serve(&server, NULL);
	char number_text[32];
	json_t *targets;
	struct run run;

	(void)state;
	ask(&run, port, "/", NULL);
	assert_int_equal(status_of(&run), 200);
	assert_non_null(strstr(run.out, "<!doctype html>"));
	run_free(&run);
	ask(&run, port, "/sd", NULL);
	*strrchr(run.out, '\n') = '\0';
	targets = json_loads(run.out, 0, NULL);
	assert_int_equal(json_array_size(targets), 1);
	snprintf(number_text, sizeof(number_text), "%d", (int)program.pid);
	assert_string_equal(
	    json_string_value(member(member(json_array_get(targets, 0), "labels"), "__param_pid")),
	    number_text);
	json_decref(targets);
	run_free(&run);
	stop(&server);
}

static void
test_what_is_not_served_is_refused(void **state)
{
	static struct conversation server;
	unsigned port = serve(&server, (const char *const[]){"--host", "here.example", NULL});

	(void)state;
	expect_status(port, "/metrics", (const char *const[]){"--request", "POST", NULL}, 405);
	expect_status(port, "/metrics",
		      (const char *const[]){"--request", "DELETE", "--data", "x", NULL}, 405);
	expect_status(port, "/../../../etc/passwd", NULL, 404);
	expect_status(port, "/%2e%2e/%2e%2e/etc/passwd", NULL, 404);
	expect_status(port, "/metrics?file=/etc/passwd", NULL, 400);
	expect_status(port, "/debug/pprof/heap?pid=../1", NULL, 400);
	expect_status(port, "/metrics", (const char *const[]){"-H", "Host: evil.example", NULL},
		      403);
	expect_status(port, "/metrics", (const char *const[]){"-H", "Host:", NULL}, 403);
	expect_status(port, "/metrics", (const char *const[]){"-H", "Host: here.example:80", NULL},
		      200);
	stop(&server);
}

/* Opens a connection and sends a beginning of a request. -1: it is not taken. */
static int
send_beginning(unsigned port, const char *text, size_t bytes)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_port = htons((uint16_t)port),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    send(fd, text, bytes, MSG_NOSIGNAL) == (ssize_t)bytes)
		return fd;
	close(fd);
	return -1;
}

/* What there is of an answer, until the connection ends. */
static size_t
receive(int fd, char *text, size_t room)
{
	size_t length = 0;
	ssize_t got;

	while (length + 1 < room && (got = recv(fd, text + length, room - 1 - length, 0)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	close(fd);
	return length;
}

static void
test_huge_headers_are_refused(void **state)
{
	static struct conversation server;
	static char head[1 << 20];
	char answer[4096];
	unsigned port = serve(&server, NULL);
	size_t length = (size_t)sprintf(head, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ");
	int fd;

	(void)state;
	memset(head + length, 'x', sizeof(head) - length);
	fd = send_beginning(port, head, 1 << 16);
	assert_true(fd >= 0);
	receive(fd, answer, sizeof(answer));
	assert_true(answer[0] == '\0' || strstr(answer, " 431 ") || strstr(answer, " 400 "));
	expect_status(port, "/metrics", NULL, 200);
	stop(&server);
}

/* More connections than there may be, each with half a request: others are answered again once the
 * slow ones are cut off. */
static void
test_slow_clients_do_not_hold_it(void **state)
{
	static struct conversation server;
	static const char half[] = "GET /metrics HTTP/1.1\r\nHost: loc";
	unsigned port = serve(&server, NULL);
	int64_t deadline_ms = now_ms() + LIMIT_MS;
	int fds[300];
	struct run run;

	(void)state;
	for (size_t i = 0; i < 300; i++)
		fds[i] = send_beginning(port, half, sizeof(half) - 1);
	for (;;) {
		char url[64];

		snprintf(url, sizeof(url), "http://127.0.0.1:%u/metrics", port);
		run_program(&run,
			    (const char *const[]){"curl", "--silent", "--noproxy", "*",
						  "--max-time", "5", url, NULL},
			    NULL);
		if (run.exit_status == 0)
			break;
		run_free(&run);
		if (now_ms() > deadline_ms)
			fail_msg("slow clients keep others out");
		for (size_t i = 0; i < 300; i++) /* a byte now and then is not idle */
			if (fds[i] >= 0)
				(void)send(fds[i], "a", 1, MSG_NOSIGNAL);
	}
	assert_non_null(strstr(run.out, "vmtrace_rss_bytes{"));
	run_free(&run);
	for (size_t i = 0; i < 300; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	stop(&server);
}

static void
test_a_token_is_asked_for(void **state)
{
	static struct conversation server;
	unsigned port;

	(void)state;
	shell("echo a-token-of-some-length >'%s'", scratch_file("token"));
	port = serve(&server, (const char *const[]){"--token-file", scratch_file("token"), NULL});
	expect_status(port, "/metrics", NULL, 401);
	expect_status(
	    port, "/metrics",
	    (const char *const[]){"-H", "Authorization: Bearer a-token-of-some-lengtH", NULL}, 401);
	expect_status(port, "/", NULL, 401);
	expect_status(
	    port, "/metrics",
	    (const char *const[]){"-H", "Authorization: Bearer a-token-of-some-length", NULL}, 200);
	stop(&server);
}

/* One line and status 2. */
static void
test_what_would_be_unsafe_is_not_begun(void **state)
{
	const struct {
		const char *options[OPTIONS];
		const char *says;
	} wrong[] = {
	    {{"--listen", "0.0.0.0:0", directory}, "--token-file"},
	    {{"--listen", "[::]:0", directory}, "--token-file"},
	    {{"--listen", ":0", directory}, "--insecure"},
	    {{"--cert", "/dev/null", directory}, "--cert and --key go together"},
	    {{"--token-file", "/dev/null", directory}, "at least 16 characters"},
	    {{"--token-file", "/nowhere", directory}, "/nowhere: No such file"},
	    {{"--listen", "here", directory}, "--listen here"},
	    {{"/nowhere"}, "is not a directory"},
	    {{NULL}, "one directory"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const char *argv[OPTIONS + 1] = {built("vmtrace-serve")};
		struct run run;

		memcpy(argv + 1, wrong[i].options, sizeof(argv) - sizeof(*argv));
		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 2);
		if (!says(run.err, wrong[i].says))
			fail_msg("%s, not: %s", run.err, wrong[i].says);
		run_free(&run);
	}
}

static void
test_https(void **state)
{
	static struct conversation server;
	unsigned port;
	struct run run;
	char url[64];

	(void)state;
	need_program("openssl");
	shell("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
	      "-addext subjectAltName=DNS:localhost -keyout '%s' -out '%s' 2>&1",
	      scratch_file("key.pem"), scratch_file("cert.pem"));
	port = serve(&server, (const char *const[]){"--cert", scratch_file("cert.pem"), "--key",
						    scratch_file("key.pem"), NULL});
	snprintf(url, sizeof(url), "https://localhost:%u/metrics", port);
	run_program(&run,
		    (const char *const[]){"curl", "--silent", "--noproxy", "*", "--cacert",
					  scratch_file("cert.pem"), url, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(strstr(run.out, "vmtrace_rss_bytes{"));
	run_free(&run);
	/* Who asks knows that the name is another's. */
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/metrics", port);
	run_program(&run,
		    (const char *const[]){"curl", "--silent", "--noproxy", "*", "--cacert",
					  scratch_file("cert.pem"), url, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 60);
	run_free(&run);
	stop(&server);
}

/* What is damaged is counted, and what is whole is served. */
static void
test_hostile_traces_are_counted(void **state)
{
	static struct conversation server;
	unsigned port;
	struct run run;

	(void)state;
	shell("cd '%s' && head -c 100000 moments.vmt >cut.vmt && echo nothing >text.vmt && "
	      "{ head -c 8192 moments.vmt; head -c 200000 /dev/urandom; } >random.vmt && "
	      "ln -s /dev/zero endless.vmt && mkfifo pipe.vmt && ln -s nowhere lost.vmt",
	      directory);
	port = serve(&server, NULL);
	ask(&run, port, "/metrics", NULL);
	assert_int_equal(status_of(&run), 200);
	assert_true(metric(run.out, "\nvmtrace_rss_bytes{") > 20 << 20);
	assert_true(unread_of(run.out) >= 4);
	run_free(&run);
	shell("cd '%s' && rm -f cut.vmt text.vmt random.vmt endless.vmt pipe.vmt lost.vmt",
	      directory);
	stop(&server);
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
	      directory);
	port = serve(&server, NULL);
	ask(&run, port, "/metrics", NULL);
	assert_int_equal(metric(run.out, "\nvmtrace_processes{"), 1);
	assert_int_equal(unread_of(run.out), 0);
	run_free(&run);
	shell("cd '%s' && rm -f copy.vmt link.vmt to.vmt packed.vmt packed.vmt.gz", directory);
	stop(&server);
}

/* The address by which it was asked, as "every address" is none; with each of them its own answer.
 */
static void
test_targets_are_where_it_was_asked(void **state)
{
	static struct conversation server;
	unsigned port = serve(&server, (const char *const[]){"--listen", "0.0.0.0:0", "--insecure",
							     "--host", "here.example", NULL});
	struct run run;

	(void)state;
	ask(&run, port, "/sd", (const char *const[]){"-H", "Host: 10.1.2.3:99", NULL});
	assert_non_null(strstr(run.out, "\"10.1.2.3:99\""));
	run_free(&run);
	ask(&run, port, "/sd", (const char *const[]){"-H", "Host: here.example:98", NULL});
	assert_non_null(strstr(run.out, "\"here.example:98\""));
	assert_null(strstr(run.out, "0.0.0.0"));
	run_free(&run);
	expect_status(port, "/sd", (const char *const[]){"-H", "Host: 10.1.2.3:99\"", NULL}, 400);
	stop(&server);
}

static void
test_a_connection_is_kept(void **state)
{
	static struct conversation server;
	unsigned port = serve(&server, NULL);
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
	expect_status(port, "/sd",
		      (const char *const[]){"--request", "GET", "--data", "body", NULL}, 400);
	stop(&server);
}

/* SIGHUP that it was started to ignore. */
static void
test_it_outlives_a_terminal_under_nohup(void **state)
{
	static struct conversation server;
	unsigned port;

	(void)state;
	signal(SIGHUP, SIG_IGN);
	port = serve(&server, NULL);
	signal(SIGHUP, SIG_DFL);
	assert_int_equal(kill(server.pid, SIGHUP), 0);
	expect_status(port, "/sd", NULL, 200);
	stop(&server);
}

/* A service in a container of its own, whose directory another container has. */
static void
test_a_service_of_another_namespace_is_served(void **state)
{
	static struct conversation server, service;
	const char *place = scratch_file("elsewhere");
	int64_t deadline_ms = now_ms() + LIMIT_MS;
	char line[] = "keep\n", other[4096];
	unsigned port;
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
	port = serve_directory(&server, place, NULL);
	ask(&run, port, "/metrics", NULL);
	assert_int_equal(metric(run.out, "\nvmtrace_processes{"), 1);
	assert_true(metric(run.out, "\nvmtrace_rss_bytes{") > 20 << 20);
	run_free(&run);
	run_program(&run, (const char *const[]){built("vmtrace"), "top", "--once", place, NULL},
		    NULL);
	assert_true(says(run.out, "1 run, 0 ended"));
	run_free(&run);
	(void)converse_end(&service);
	for (;;) {
		bool is_gone;

		ask(&run, port, "/metrics", NULL);
		is_gone = metric(run.out, "\nvmtrace_processes{") == -1;
		run_free(&run);
		if (is_gone)
			break;
		if (now_ms() > deadline_ms)
			fail_msg("what has ended is served");
		poll(NULL, 0, 500);
	}
	stop(&server);
}

/* Names of metrics are an interface: rules and dashboard use those that are served. */
static void
test_rules_and_dashboard_use_what_is_served(void **state)
{
	static struct conversation server;
	unsigned port = serve(&server, NULL);

	(void)state;
	shell("curl --silent --noproxy '*' http://127.0.0.1:%u/metrics | sed -n 's/[{ ].*//p' | "
	      "sort -u >'%s'",
	      port, scratch_file("served"));
	shell("grep -oh '\\bvmtrace_[a-z_]*' docs/fleet/rules.yml docs/fleet/dashboard.json | "
	      "sort -u >'%s' && test -s '%s' && test -z \"$(comm -13 '%s' '%s')\"",
	      scratch_file("used"), scratch_file("used"), scratch_file("served"),
	      scratch_file("used"));
	stop(&server);
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
	    cmocka_unit_test(test_metrics_are_the_figures_of_the_report),
	    cmocka_unit_test(test_promtool_takes_the_metrics),
	    cmocka_unit_test(test_a_profile_names_the_call),
	    cmocka_unit_test(test_the_page_and_the_targets),
	    cmocka_unit_test(test_what_is_not_served_is_refused),
	    cmocka_unit_test(test_huge_headers_are_refused),
	    cmocka_unit_test(test_slow_clients_do_not_hold_it),
	    cmocka_unit_test(test_a_token_is_asked_for),
	    cmocka_unit_test(test_what_would_be_unsafe_is_not_begun),
	    cmocka_unit_test(test_https),
	    cmocka_unit_test(test_hostile_traces_are_counted),
	    cmocka_unit_test(test_copies_count_once),
	    cmocka_unit_test(test_targets_are_where_it_was_asked),
	    cmocka_unit_test(test_a_connection_is_kept),
	    cmocka_unit_test(test_it_outlives_a_terminal_under_nohup),
	    cmocka_unit_test(test_a_service_of_another_namespace_is_served),
	    cmocka_unit_test(test_rules_and_dashboard_use_what_is_served),
	    cmocka_unit_test(test_rules_fire_when_they_should),
	};

	return cmocka_run_group_tests(tests, start_program, end_program);
}
