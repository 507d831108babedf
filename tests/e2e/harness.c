/* harness.c: see harness.h. */
#include "tests/e2e/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_LIMIT_SECONDS 300

void
prefer_system_programs(void)
{
	char path[8192];

	snprintf(path, sizeof(path), "/usr/bin:/bin:/usr/sbin:/sbin:%s", getenv("PATH"));
	setenv("PATH", path, 1);
}

void
need_program(const char *name)
{
	const char *const argv[] = {"sh", "-c", "command -v \"$0\" >/dev/null", name, NULL};
	struct run run;
	bool found;

	run_program(&run, argv, NULL);
	found = run.exit_status == 0;
	run_free(&run);
	if (found)
		return;
	print_message("skip: no %s\n", name);
	skip();
}

/* A shell that starts tests in the background ignores them. What a test ignores itself is left. */
static void
heed_signals(void)
{
	static const int signals[] = {SIGINT, SIGQUIT};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
}

static void
exec_child(const char *const argv[], const char *const environment[])
{
	char *arguments[256];
	size_t count = 0;

	heed_signals();
	for (; argv[count] != NULL && count < 255; count++)
		arguments[count] = strdup(argv[count]);
	arguments[count] = NULL;
	setenv("VMTRACE_EXIT_WAIT", "60s", 1);
	for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
		putenv(strdup(environment[i]));
	execvp(arguments[0], arguments);
	_exit(127);
}

struct capture {
	char *bytes;
	size_t length;
	size_t room;
	int fd;
};

static bool
capture_some(struct capture *capture)
{
	if (capture->room - capture->length < 4096) {
		capture->room = capture->room * 2 + 65536;
		capture->bytes = realloc(capture->bytes, capture->room);
		assert_non_null(capture->bytes);
	}
	ssize_t got = read(capture->fd, capture->bytes + capture->length,
			   capture->room - capture->length - 1);

	if (got <= 0)
		return false;
	capture->length += (size_t)got;
	return true;
}

static void
capture_both(struct capture capture[2], pid_t pid)
{
	time_t deadline = time(NULL) + RUN_LIMIT_SECONDS;

	while (capture[0].fd >= 0 || capture[1].fd >= 0) {
		struct pollfd polls[2] = {{.fd = capture[0].fd, .events = POLLIN},
					  {.fd = capture[1].fd, .events = POLLIN}};

		poll(polls, 2, 1000);
		if (time(NULL) > deadline) {
			kill(pid, SIGKILL);
			fail_msg("ran for more than %d s", RUN_LIMIT_SECONDS);
		}
		for (int i = 0; i < 2; i++)
			if (polls[i].revents != 0 && !capture_some(&capture[i])) {
				close(capture[i].fd);
				capture[i].fd = -1;
			}
	}
	for (int i = 0; i < 2; i++) {
		if (capture[i].bytes == NULL)
			capture[i].bytes = calloc(1, 1);
		capture[i].bytes[capture[i].length] = '\0';
	}
}

void
run_program(struct run *run, const char *const argv[], const char *const environment[])
{
	int out[2];
	int err[2];
	struct rusage usage;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	fflush(NULL);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

		dup2(nothing, 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		exec_child(argv, environment);
	}
	close(out[1]);
	close(err[1]);
	struct capture capture[2] = {{.fd = out[0]}, {.fd = err[0]}};

	capture_both(capture, pid);
	assert_int_equal(wait4(pid, &run->wait_status, 0, &usage), pid);
	run->exit_status = WIFEXITED(run->wait_status) ? WEXITSTATUS(run->wait_status) : -1;
	run->out = capture[0].bytes;
	run->out_bytes = capture[0].length;
	run->err = capture[1].bytes;
	run->peak_rss_kib = usage.ru_maxrss;
}

void
run_free(struct run *run)
{
	free(run->out);
	free(run->err);
	memset(run, 0, sizeof(*run));
}

void
converse_start(struct conversation *talk, const char *const argv[], const char *const environment[])
{
	int to[2];
	int from[2];

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	fflush(NULL);
	talk->pid = fork();
	assert_true(talk->pid >= 0);
	if (talk->pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		exec_child(argv, environment);
	}
	close(to[0]);
	close(from[1]);
	talk->to = to[1];
	talk->from = from[0];
}

void
converse_read_line(struct conversation *talk)
{
	size_t length = 0;

	for (;;) {
		char c;

		assert_int_equal(read(talk->from, &c, 1), 1);
		if (c == '\n')
			break;
		assert_true(length < sizeof(talk->line) - 1);
		talk->line[length++] = c;
	}
	talk->line[length] = '\0';
}

int
converse_end(struct conversation *talk)
{
	int status;
	char rest[4096];

	close(talk->to);
	while (read(talk->from, rest, sizeof(rest)) > 0)
		;
	close(talk->from);
	assert_int_equal(waitpid(talk->pid, &status, 0), talk->pid);
	return status;
}

void
shell(const char *format, ...)
{
	char command[8192];
	const char *const argv[] = {"sh", "-c", command, NULL};
	va_list arguments;
	struct run run;

	va_start(arguments, format);
	assert_true(vsnprintf(command, sizeof(command), format, arguments) < (int)sizeof(command));
	va_end(arguments);
	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s: status %d: %s", command, run.exit_status, run.err);
	run_free(&run);
}

void
record(struct run *run, const char *trace, const char *const options[], const char *const argv[])
{
	const char *all[256] = {built("vmtrace"), "record", "-o", trace};
	size_t count = 4;

	for (size_t i = 0; options != NULL && options[i] != NULL; i++)
		all[count++] = options[i];
	all[count++] = "--";
	for (size_t i = 0; argv[i] != NULL && count < 255; i++)
		all[count++] = argv[i];
	run_program(run, all, NULL);
}

/* What a command prints that names a file or a process. */
static json_t *
printed(const char *const argv[], const char *named)
{
	struct run run;
	json_error_t trouble;
	json_t *root;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s of %s: status %d: %s", argv[1], named, run.exit_status, run.err);
	root = json_loads(run.out, 0, &trouble);
	if (root == NULL)
		fail_msg("%s of %s: line %d: %s", argv[1], named, trouble.line, trouble.text);
	run_free(&run);
	return root;
}

json_t *
report(const char *trace, const char *const options[])
{
	const char *all[64] = {built("vmtrace"), "report", "--format", "json", trace};
	size_t count = 5;

	for (size_t i = 0; options != NULL && options[i] != NULL; i++)
		all[count++] = options[i];
	return printed(all, trace);
}

json_t *
snapshot_report(pid_t pid)
{
	char number[16];
	const char *const argv[] = {built("vmtrace"), "snapshot", number, "--format", "json", NULL};
	json_t *root;

	snprintf(number, sizeof(number), "%d", (int)pid);
	root = printed(argv, number);
	check_report(root);
	return root;
}

const char *const *
preloaded(const char *trace)
{
	static char preload[PATH_MAX + 16];
	static char output[PATH_MAX + 16];
	static const char *const environment[] = {preload, output, NULL};

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", built("libvmtrace.so"));
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", trace);
	return environment;
}

json_t *
report_of_pid(const char *pattern, int64_t pid)
{
	glob_t found;
	json_t *chosen = NULL;
	int64_t newest = -1;

	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		json_t *root =
		    report(found.gl_pathv[i], (const char *const[]){"--at", "end", NULL});
		json_t *process = member(root, "process");

		if (number(process, "pid") == pid && number(process, "start_unix_ns") > newest) {
			newest = number(process, "start_unix_ns");
			json_decref(chosen);
			chosen = json_incref(root);
		}
		json_decref(root);
	}
	globfree(&found);
	if (chosen == NULL)
		fail_msg("no trace of process %lld", (long long)pid);
	return chosen;
}

json_t *
dump(const char *trace, const char *kind)
{
	const char *const argv[] = {built("vmtrace"), "dump", "--format", "json", trace, NULL};
	json_t *rows = json_array();
	char *rest;
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("dump of %s: status %d: %s", trace, run.exit_status, run.err);
	for (char *line = strtok_r(run.out, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		json_t *row = json_loads(line, 0, NULL);

		assert_non_null(row);
		if (strcmp(json_string_value(member(row, "record")), kind) == 0)
			json_array_append(rows, row);
		json_decref(row);
	}
	run_free(&run);
	return rows;
}

int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

json_t *
member(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (value == NULL)
		fail_msg("no member \"%s\"", key);
	return value;
}

int64_t
number(json_t *object, const char *key)
{
	json_t *value = member(object, key);

	if (!json_is_integer(value))
		fail_msg("\"%s\" is not a whole number", key);
	return json_integer_value(value);
}

int64_t
peak_rss(json_t *root)
{
	json_t *point;
	size_t i;
	int64_t peak = 0;

	json_array_foreach(member(root, "rss"), i, point)
	{
		int64_t rss = json_integer_value(json_array_get(point, 1));

		peak = rss > peak ? rss : peak;
	}
	return peak;
}

static json_t *
find_class(json_t *root, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach(member(root, "classes"), i, row)
	{
		if (strcmp(json_string_value(member(row, "name")), name) == 0)
			return row;
	}
	return NULL;
}

json_t *
class_row(json_t *root, const char *name)
{
	json_t *row = find_class(root, name);

	if (!row)
		fail_msg("no class %s", name);
	return row;
}

int64_t
class_figure(json_t *root, const char *name, const char *figure)
{
	json_t *row = find_class(root, name);

	return row ? number(row, figure) : 0;
}

int64_t
class_committed(json_t *root, const char *name)
{
	return class_figure(root, name, "committed_bytes");
}

int64_t
go_heap_figure(json_t *root, const char *figure)
{
	static const char *const parts[] = {"Go heap",	     "Go large objects", "Go small objects",
					    "Go free slots", "Go stacks",	 "Go free spans",
					    "Go released"};
	int64_t sum = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		sum += class_figure(root, parts[i], figure);
	return sum;
}

static bool
site_matches(json_t *site, const char *kind, const char *function, size_t depth)
{
	json_t *frame;
	size_t i;

	if (kind != NULL && strcmp(json_string_value(member(site, "kind")), kind) != 0)
		return false;
	json_array_foreach(member(site, "frames"), i, frame)
	{
		const char *name = json_string_value(json_object_get(frame, "function"));

		if (i >= depth)
			break;
		if (name != NULL && strcmp(name, function) == 0)
			return true;
	}
	return false;
}

json_t *
find_site(json_t *root, const char *kind, const char *function, size_t depth)
{
	json_t *site;
	size_t i;

	json_array_foreach(member(root, "sites"), i,
			   site) if (site_matches(site, kind, function, depth)) return site;
	return NULL;
}

int64_t
site_sum(json_t *root, const char *kind, const char *function, const char *figure)
{
	json_t *site;
	size_t i;
	int64_t sum = 0;

	json_array_foreach(member(root, "sites"), i,
			   site) if (site_matches(site, kind, function, SIZE_MAX)) sum +=
	    number(site, figure);
	return sum;
}

static void
check_keys(json_t *object, const char *const keys[])
{
	for (size_t i = 0; keys[i] != NULL; i++)
		member(object, keys[i]);
}

void
check_report(json_t *root)
{
	static const char *const top[] = {"schema", "process",	    "snapshot", "totals", "classes",
					  "sites",  "advice",	    "locks",	"rss",	  "loss",
					  "touch",  "committed_by", "coverage", NULL};
	json_t *row;
	size_t i;
	int64_t committed = 0;
	int64_t reserved = 0;
	json_t *snapshot = member(root, "snapshot");

	check_keys(root, top);
	assert_string_equal(json_string_value(member(root, "schema")), "vmtrace-report/1");
	json_array_foreach(member(root, "classes"), i, row)
	{
		committed += number(row, "committed_bytes");
		reserved += number(row, "reserved_bytes");
	}
	assert_int_equal(committed, number(snapshot, "rss_bytes"));
	assert_int_equal(reserved, number(snapshot, "virtual_bytes"));
	assert_int_equal(committed, number(member(root, "totals"), "committed_bytes"));
}
