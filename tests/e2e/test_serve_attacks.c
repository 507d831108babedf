/*
 * test_serve_attacks.c: does vmtrace-serve refuse what it should, and go on whatever it is sent?
 */
#include "tests/e2e/living.h"
#include "tests/e2e/serving.h"
#include "tests/soak.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_CONNECTIONS 10000

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
test_what_is_not_served_is_refused(void **state)
{
	static struct conversation server;
	unsigned port =
	    serving_start(&server, (const char *const[]){"--host", "here.example", NULL});

	(void)state;
	serving_expect(port, "/metrics", (const char *const[]){"--request", "POST", NULL}, 405);
	serving_expect(port, "/metrics",
		       (const char *const[]){"--request", "DELETE", "--data", "x", NULL}, 405);
	serving_expect(port, "/../../../etc/passwd", NULL, 404);
	serving_expect(port, "/%2e%2e/%2e%2e/etc/passwd", NULL, 404);
	serving_expect(port, "/metrics?file=/etc/passwd", NULL, 400);
	serving_expect(port, "/debug/pprof/heap?pid=../1", NULL, 400);
	serving_expect(port, "/metrics", (const char *const[]){"-H", "Host: evil.example", NULL},
		       403);
	serving_expect(port, "/metrics", (const char *const[]){"-H", "Host:", NULL}, 403);
	serving_expect(port, "/metrics", (const char *const[]){"-H", "Host: here.example:80", NULL},
		       200);
	serving_stop(&server);
}

static void
test_huge_headers_are_refused(void **state)
{
	static struct conversation server;
	static char head[1 << 20];
	char answer[4096];
	unsigned port = serving_start(&server, NULL);
	size_t length = (size_t)sprintf(head, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ");
	int fd;

	(void)state;
	memset(head + length, 'x', sizeof(head) - length);
	fd = send_beginning(port, head, 1 << 16);
	assert_true(fd >= 0);
	receive(fd, answer, sizeof(answer));
	assert_true(answer[0] == '\0' || strstr(answer, " 431 ") || strstr(answer, " 400 "));
	serving_expect(port, "/metrics", NULL, 200);
	serving_stop(&server);
}

static void
test_a_token_is_asked_for(void **state)
{
	static struct conversation server;
	unsigned port;

	(void)state;
	shell("echo a-token-of-some-length >'%s'", scratch_file("token"));
	port = serving_start(&server,
			     (const char *const[]){"--token-file", scratch_file("token"), NULL});
	serving_expect(port, "/metrics", NULL, 401);
	serving_expect(
	    port, "/metrics",
	    (const char *const[]){"-H", "Authorization: Bearer a-token-of-some-lengtH", NULL}, 401);
	serving_expect(port, "/", NULL, 401);
	serving_expect(
	    port, "/metrics",
	    (const char *const[]){"-H", "Authorization: Bearer a-token-of-some-length", NULL}, 200);
	serving_stop(&server);
}

/* One line and status 2. */
static void
test_what_would_be_unsafe_is_not_begun(void **state)
{
	const struct {
		const char *options[SERVING_OPTIONS];
		const char *says;
	} wrong[] = {
	    {{"--listen", "0.0.0.0:0", serving_directory}, "--token-file"},
	    {{"--listen", "[::]:0", serving_directory}, "--token-file"},
	    {{"--listen", ":0", serving_directory}, "--insecure"},
	    {{"--cert", "/dev/null", serving_directory}, "--cert and --key go together"},
	    {{"--token-file", "/dev/null", serving_directory}, "at least 16 characters"},
	    {{"--token-file", "/nowhere", serving_directory}, "/nowhere: No such file"},
	    {{"--listen", "here", serving_directory}, "--listen here"},
	    {{"/nowhere"}, "is not a directory"},
	    {{NULL}, "one directory"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const char *argv[SERVING_OPTIONS + 1] = {built("vmtrace-serve")};
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
make_certificate(void)
{
	need_program("openssl");
	shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
	      "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout '%s' -out '%s' "
	      "2>&1",
	      scratch_file("key.pem"), scratch_file("cert.pem"));
}

static unsigned
start_with_tls(struct conversation *server)
{
	return serving_start(server, (const char *const[]){"--cert", scratch_file("cert.pem"),
							   "--key", scratch_file("key.pem"), NULL});
}

/* As curl gets it, which trusts the certificate; other is a name that leads to the server. */
static void
ask_over_tls(struct run *run, unsigned port, const char *host, const char *option)
{
	char url[64], other[64];

	snprintf(url, sizeof(url), "https://%s:%u/metrics", host, port);
	snprintf(other, sizeof(other), "other.example:%u:127.0.0.1", port);
	run_program(run,
		    (const char *const[]){"curl", "--silent", "--noproxy", "*", "--max-time", "20",
					  "--cacert", scratch_file("cert.pem"), "--resolve", other,
					  "--write-out", "\n%{http_code}", url, option, NULL},
		    NULL);
}

/* Who asks knows that the name is another's, and the server that it has another one. */
static void
test_https(void **state)
{
	static struct conversation server;
	unsigned port;
	struct run run;

	(void)state;
	make_certificate();
	port = start_with_tls(&server);
	ask_over_tls(&run, port, "localhost", NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(strstr(run.out, "vmtrace_rss_bytes{"));
	run_free(&run);
	ask_over_tls(&run, port, "127.0.0.1", NULL);
	assert_int_equal(run.exit_status, 60);
	run_free(&run);
	ask_over_tls(&run, port, "other.example", NULL);
	assert_int_equal(run.exit_status, 60);
	run_free(&run);
	ask_over_tls(&run, port, "other.example", "--insecure");
	assert_int_equal(run.exit_status, 0);
	assert_int_equal(serving_status(&run), 403);
	run_free(&run);
	serving_stop(&server);
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
	      serving_directory);
	port = serving_start(&server, NULL);
	serving_ask(&run, port, "/metrics", NULL);
	assert_int_equal(serving_status(&run), 200);
	assert_true(serving_metric(run.out, "\nvmtrace_rss_bytes{") > 20 << 20);
	assert_true(serving_unread(run.out) >= 4);
	run_free(&run);
	shell("cd '%s' && rm -f cut.vmt text.vmt random.vmt endless.vmt pipe.vmt lost.vmt",
	      serving_directory);
	serving_stop(&server);
}

/* With tests/target/plugin_killer.c; what it says of traces comes into the file. */
static unsigned
start_with_killer(struct conversation *server, const char *says)
{
	int before = dup(STDERR_FILENO);
	int fd = open(says, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unsigned port;

	assert_true(before >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	setenv("LD_PRELOAD", built("tests/target/plugin_killer"), 1);
	port = serving_start(server, NULL);
	unsetenv("LD_PRELOAD");
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	close(before);
	close(fd);
	return port;
}

static void
expect_left_out(const char *name, const char *path)
{
	static struct conversation server;
	unsigned port;
	struct run run;

	port = start_with_killer(&server, scratch_file("says"));
	serving_expect(port, path, NULL, 200);
	serving_ask(&run, port, "/metrics", NULL);
	assert_int_equal(serving_status(&run), 200);
	assert_true(serving_metric(run.out, "\nvmtrace_rss_bytes{") > 20 << 20);
	assert_non_null(strstr(run.out, "\nvmtrace_quarantined_traces 1\n"));
	run_free(&run);
	shell("test $(grep -c '/%s: .*signal 11; left out for 600 s$' '%s') = 1", name,
	      scratch_file("says"));
	serving_stop(&server);
}

/* The trace has two names, and by one of them it kills. */
static void
expect_name_left_out(const char *name, const char *path)
{
	shell("ln '%s' '%s/%s'", serving_trace, serving_directory, name);
	expect_left_out(name, path);
	shell("rm '%s/%s'", serving_directory, name);
}

/* It is another process's, and the page is of both. */
static void
expect_process_left_out(const char *name)
{
	static struct conversation other;
	char trace[sizeof(serving_directory) + 64];

	snprintf(trace, sizeof(trace), "%s/%s", serving_directory, name);
	converse_start(&other, (const char *const[]){built("tests/target/moments"), NULL},
		       preloaded(trace));
	converse_read_line(&other);
	living_snapshot(trace);
	expect_left_out(name, "/");
	assert_int_equal(converse_end(&other), 0);
	shell("rm '%s'", trace);
}

/* It is looked at, then read; of the page it is read in the child. */
static void
test_a_trace_that_kills_is_left_out(void **state)
{
	(void)state;
	expect_name_left_out("kills-1.vmt", "/metrics");
	expect_name_left_out("kills-2.vmt", "/sd");
	expect_name_left_out("kills-3.vmt", "/metrics");
	expect_name_left_out("kills-3.vmt", "/debug/pprof/heap");
	expect_name_left_out("kills-3.vmt", "/");
	expect_process_left_out("kills-3.vmt");
	expect_process_left_out("kills-4.vmt");
}

/* As many as it may open. */
static long
raise_limit(long wanted)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return (rlim_t)wanted + 100 < limit.rlim_cur ? wanted : (long)limit.rlim_cur - 100;
}

/* Without waiting: what finds no room stays on its way. -1: there is none at all. */
static int
begin_connection(unsigned port)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_port = htons((uint16_t)port),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The most that a process ever had in RAM. */
static long
peak_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	fclose(file);
	assert_true(kib > 0);
	return kib;
}

static bool
is_answered(unsigned port, bool has_tls)
{
	char url[64];
	struct run run;
	bool is;

	snprintf(url, sizeof(url), "%s://localhost:%u/metrics", has_tls ? "https" : "http", port);
	run_program(&run,
		    (const char *const[]){"curl", "--ipv4", "--silent", "--noproxy", "*",
					  "--max-time", "5", "--insecure", url, NULL},
		    NULL);
	is = run.exit_status == 0;
	if (is)
		assert_non_null(strstr(run.out, "vmtrace_rss_bytes{"));
	run_free(&run);
	return is;
}

/* Many times the connections that there may be, each with a part of what it has to say and a byte
 * more now and then: others are answered all the same, and the server does not grow with their
 * number. */
static void
hold_connections(struct conversation *server, unsigned port, const void *beginning, size_t bytes,
		 bool has_tls)
{
	static int fds[MOST_CONNECTIONS];
	int64_t deadline_ms = now_ms() + SERVING_LIMIT_MS;
	long count = raise_limit(soak_count(250, MOST_CONNECTIONS));

	for (long i = 0; i < count; i++) {
		fds[i] = begin_connection(port);
		if (fds[i] >= 0)
			(void)send(fds[i], beginning, bytes, MSG_NOSIGNAL);
	}
	while (!is_answered(port, has_tls)) {
		if (now_ms() > deadline_ms)
			fail_msg("slow clients keep others out");
		for (long i = 0; i < count; i++) /* a byte now and then is not idle */
			if (fds[i] >= 0)
				(void)send(fds[i], "a", 1, MSG_NOSIGNAL);
	}
	assert_in_range(peak_kib(server->pid), 1, 64 << 10);
	for (long i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	assert_true(is_answered(port, has_tls));
}

static void
test_slow_clients_do_not_hold_it(void **state)
{
	static struct conversation server;
	static const char half[] = "GET /metrics HTTP/1.1\r\nHost: loc";
	unsigned port = serving_start(&server, NULL);

	(void)state;
	hold_connections(&server, port, half, sizeof(half) - 1, false);
	serving_stop(&server);
}

/* Handshakes that never end: what a client says first, of 512 bytes the first eleven. */
static void
test_slow_handshakes_do_not_hold_it(void **state)
{
	static struct conversation server;
	static const unsigned char hello[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01,
					      0x00, 0x01, 0xfc, 0x03, 0x03};
	unsigned port;

	(void)state;
	make_certificate();
	port = start_with_tls(&server);
	hold_connections(&server, port, hello, sizeof(hello), true);
	serving_stop(&server);
}

/* What is recorded knows nothing of all that: it answers, and no event of it is lost. */
static void
test_the_recorded_program_goes_on(void **state)
{
	char line[] = "keep\n";
	json_t *loss, *said;

	(void)state;
	assert_true(write(serving_program.to, line, strlen(line)) > 0);
	converse_read_line(&serving_program);
	said = report(serving_trace, NULL);
	loss = member(said, "loss");
	assert_int_equal(number(loss, "events_dropped"), 0);
	assert_string_equal(json_string_value(member(member(said, "process"), "end")), "running");
	json_decref(said);
}

/* Those for which half a minute did not suffice come with a later answer. */
static void
ask_until_all_are_read(struct run *run, unsigned port)
{
	int64_t deadline_ms = now_ms() + SERVING_LIMIT_MS;

	for (;;) {
		serving_ask(run, port, "/metrics", NULL);
		assert_int_equal(serving_status(run), 200);
		if (serving_unread(run->out) == 0)
			return;
		if (now_ms() > deadline_ms)
			fail_msg("%ld traces are never read", (long)serving_unread(run->out));
		run_free(run);
		poll(NULL, 0, 200);
	}
}

/* Many processes of one program: of each metric there are as many series as there may be. */
static void
test_the_number_of_series_is_bounded(void **state)
{
	static struct conversation server, service;
	long workers = soak_count(110, 1050);
	char count[16], first[4096];
	const char *at;
	int64_t series = 0;
	unsigned port;
	struct run run;

	(void)state;
	shell("mkdir '%s'", scratch_file("many"));
	snprintf(count, sizeof(count), "%ld", workers);
	snprintf(first, sizeof(first), "%s/first.vmt", scratch_file("many"));
	converse_start(&service,
		       (const char *const[]){built("vmtrace"), "record", "-o", first, "--",
					     built("tests/target/prefork"), count, "64", "4", "8",
					     NULL},
		       NULL);
	converse_read_line(&service);
	port =
	    serving_start_in(&server, scratch_file("many"), (const char *const[]){"--pid", NULL});
	ask_until_all_are_read(&run, port);
	for (at = run.out; (at = strstr(at, "\nvmtrace_rss_bytes{")) != NULL; at++)
		series++;
	assert_int_equal(series, 101);
	assert_true(serving_metric(run.out, "\nvmtrace_processes{exe=\"other\"") >=
		    workers + 1 - 100);
	assert_non_null(strstr(run.out, workers < 1000 ? "\nvmtrace_unlisted_processes 0\n"
						       : "\nvmtrace_unlisted_processes 51\n"));
	run_free(&run);
	serving_stop(&server);
	(void)converse_end(&service);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_not_served_is_refused),
	    cmocka_unit_test(test_huge_headers_are_refused),
	    cmocka_unit_test(test_a_token_is_asked_for),
	    cmocka_unit_test(test_what_would_be_unsafe_is_not_begun),
	    cmocka_unit_test(test_https),
	    cmocka_unit_test(test_hostile_traces_are_counted),
	    cmocka_unit_test(test_a_trace_that_kills_is_left_out),
	    cmocka_unit_test(test_slow_clients_do_not_hold_it),
	    cmocka_unit_test(test_slow_handshakes_do_not_hold_it),
	    cmocka_unit_test(test_the_number_of_series_is_bounded),
	    cmocka_unit_test(test_the_recorded_program_goes_on),
	};

	return cmocka_run_group_tests(tests, serving_begin, serving_end);
}
