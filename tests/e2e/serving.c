#include "tests/e2e/serving.h"

#include "tests/e2e/living.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS SERVING_OPTIONS

char serving_directory[3072];
char serving_trace[4096];
struct conversation serving_program;

/* A program that is recorded and waits, with 20 MiB mapped. */
int
serving_begin(void **state)
{
	char line[64] = "keep\n";

	(void)state;
	prefer_system_programs();
	need_program("curl");
	snprintf(serving_directory, sizeof(serving_directory), "%s", scratch_file("traces"));
	snprintf(serving_trace, sizeof(serving_trace), "%s/moments.vmt", serving_directory);
	assert_int_equal(mkdir(serving_directory, 0700), 0);
	converse_start(&serving_program, (const char *const[]){built("tests/target/moments"), NULL},
		       preloaded(serving_trace));
	converse_read_line(&serving_program);
	assert_true(write(serving_program.to, line, strlen(line)) > 0);
	converse_read_line(&serving_program);
	living_snapshot(serving_trace);
	return 0;
}

int
serving_end(void **state)
{
	(void)state;
	return converse_end(&serving_program);
}

/* Listens at a free port, which is returned. */
unsigned
serving_start_in(struct conversation *server, const char *traces, const char *const options[])
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

unsigned
serving_start(struct conversation *server, const char *const options[])
{
	return serving_start_in(server, serving_directory, options);
}

void
serving_stop(struct conversation *server)
{
	int status;

	assert_int_equal(kill(server->pid, SIGTERM), 0);
	status = converse_end(server);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What curl says of a path; more are its options. Answers of any status are answers. */
void
serving_ask(struct run *run, unsigned port, const char *path, const char *const more[])
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

int
serving_status(const struct run *run)
{
	return atoi(strrchr(run->out, '\n') + 1);
}

void
serving_expect(unsigned port, const char *path, const char *const more[], int status)
{
	const char *options[OPTIONS + 1] = {"--output", "/dev/null"};
	struct run run;

	for (int i = 0; more && more[i]; i++)
		options[2 + i] = more[i];
	serving_ask(&run, port, path, options);
	if (serving_status(&run) != status)
		fail_msg("%s: %s, not %d", path, run.out, status);
	run_free(&run);
}

/* The value of the one series that begins so; -1: there is none. */
int64_t
serving_metric(const char *text, const char *beginning)
{
	const char *at = strstr(text, beginning);

	return at ? strtoll(strstr(at, "} ") + 2, NULL, 10) : -1;
}

int64_t
serving_unread(const char *metrics)
{
	static const char name[] = "\nvmtrace_unread_traces ";

	assert_non_null(strstr(metrics, name));
	return strtoll(strstr(metrics, name) + sizeof(name) - 1, NULL, 10);
}
