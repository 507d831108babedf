/*
 * test_record_pid.c: does `vmtrace record --watch -p` say over time what the kernel says of a
 * process that runs, and leave it as it was?
 */
#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB INT64_C(1048576)

static int to_child[2];
static int from_child[2];

/* Each byte from its parent makes it touch so many MiB more; at the end of them it exits with 7. */
static void
live(void)
{
	char *memory =
	    mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t used = 0;
	unsigned char count;

	close(to_child[1]);
	if (memory == MAP_FAILED || madvise(memory, 256 * MIB, MADV_NOHUGEPAGE) != 0)
		_exit(1);
	while (read(to_child[0], &count, 1) == 1) {
		memset(memory + used, 1, count * (size_t)MIB);
		used += count * (size_t)MIB;
		if (write(from_child[1], &count, 1) != 1)
			_exit(2);
	}
	_exit(7);
}

static pid_t
start_child(void)
{
	pid_t child;

	assert_int_equal(pipe2(to_child, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from_child, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		live();
	close(to_child[0]);
	close(from_child[1]);
	return child;
}

static void
touch_mib(unsigned char count)
{
	unsigned char answer = 0;

	assert_int_equal(write(to_child[1], &count, 1), 1);
	assert_int_equal(read(from_child[0], &answer, 1), 1);
	assert_int_equal(answer, count);
}

static void
end_child(pid_t child)
{
	int status;

	close(to_child[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	close(from_child[0]);
}

/* Returns when it watches. */
static void
start_watch(struct conversation *talk, pid_t child, const char *trace)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)child);
	converse_start(talk,
		       (const char *const[]){"sh", "-c",
					     "exec \"$0\" record --watch -p $1 -o \"$2\" 2>&1",
					     built("vmtrace"), pid, trace, NULL},
		       NULL);
	converse_read_line(talk);
	assert_non_null(strstr(talk->line, "watching process"));
}

/* Counted page by page: status has counters that lag behind with many threads and CPUs. */
static int64_t
anonymous_bytes(pid_t pid)
{
	char path[64], line[256];
	long long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "Anonymous:", 10) == 0)
			kib = strtoll(line + 10, NULL, 10);
	fclose(file);
	assert_true(kib >= 0);
	return kib * 1024;
}

static int64_t
status_kib(pid_t pid, const char *key)
{
	char path[64], line[256];
	long long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoll(line + strlen(key), NULL, 10);
	fclose(file);
	return value;
}

static const char *
word(json_t *report, const char *key)
{
	return json_string_value(member(member(report, "process"), key));
}

/* What it touched before and meanwhile, in RAM at the end, by our account and by the kernel's. */
static void
what_it_touches_is_seen_over_time(void **state)
{
	const char *trace = scratch_file("watched.vmt");
	struct conversation talk;
	pid_t child = start_child();
	json_t *read;
	int64_t anonymous;

	(void)state;
	touch_mib(10);
	start_watch(&talk, child, trace);
	touch_mib(50);
	assert_int_equal(kill(talk.pid, SIGINT), 0);
	assert_int_equal(converse_end(&talk), 0);
	assert_int_equal(status_kib(child, "TracerPid:"), 0);
	anonymous = anonymous_bytes(child);

	read = report(trace, (const char *const[]){"--at", "end", NULL});
	check_report(read);
	assert_string_equal(word(read, "recorded"), "watched");
	assert_string_equal(word(read, "end"), "stopped");
	assert_true(class_committed(read, "anonymous memory") >= 60 * MIB);
	assert_true(class_committed(read, "anonymous memory") <= anonymous);
	assert_true(peak_rss(read) >= 60 * MIB);
	assert_int_equal(json_array_size(member(read, "sites")), 0);
	json_decref(read);
	/* It goes on, and a second watch works as the first did. */
	start_watch(&talk, child, trace);
	touch_mib(5);
	assert_int_equal(kill(talk.pid, SIGTERM), 0);
	assert_int_equal(converse_end(&talk), 0);
	read = report(trace, (const char *const[]){"--at", "end", NULL});
	assert_true(class_committed(read, "anonymous memory") >= 65 * MIB);
	json_decref(read);
	end_child(child);
}

static void
the_watch_ends_with_the_process(void **state)
{
	const char *trace = scratch_file("ended.vmt");
	struct conversation talk;
	pid_t child = start_child();
	json_t *read;

	(void)state;
	touch_mib(3);
	start_watch(&talk, child, trace);
	end_child(child);
	assert_int_equal(converse_end(&talk), 0);
	read = report(trace, NULL);
	assert_string_not_equal(word(read, "end"), "stopped");
	assert_string_not_equal(word(read, "end"), "running");
	json_decref(read);
}

/* A trace that is cut off tells what was seen until then. */
static void
a_kill_leaves_a_trace_that_reads(void **state)
{
	const char *trace = scratch_file("killed.vmt");
	struct conversation talk;
	pid_t child = start_child();
	json_t *read;

	(void)state;
	start_watch(&talk, child, trace);
	assert_int_equal(kill(talk.pid, SIGKILL), 0);
	(void)converse_end(&talk);
	read = report(trace, NULL);
	assert_string_equal(word(read, "recorded"), "watched");
	json_decref(read);
	end_child(child);
}

static void
expect_refusal(const char *const argv[], const char *text)
{
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 125);
	if (!says(run.err, text))
		print_error("%s: %s\n", text, run.err);
	assert_non_null(says(run.err, text));
	run_free(&run);
}

static void
what_can_not_be_watched_is_refused(void **state)
{
	const char *vmtrace = built("vmtrace");
	const char *trace = scratch_file("kept.vmt");
	FILE *file = fopen(trace, "we");
	char text[8] = "";

	(void)state;
	assert_non_null(file);
	assert_true(fputs("kept", file) >= 0);
	assert_int_equal(fclose(file), 0);
	expect_refusal((const char *const[]){vmtrace, "record", "-p", "4194304", "-o", trace, NULL},
		       "no process 4194304");
	expect_refusal((const char *const[]){vmtrace, "record", "-p", "x", NULL}, "'x'");
	expect_refusal((const char *const[]){vmtrace, "record", "-p", "1", "--for", "3q", NULL},
		       "--for: '3q'");
	expect_refusal((const char *const[]){vmtrace, "record", "--for", "3s", "true", NULL},
		       "-p PID");
	expect_refusal((const char *const[]){vmtrace, "record", "-p", "1", "true", NULL}, "'true'");
	expect_refusal((const char *const[]){vmtrace, "record", "-p", "1", "--only", "x", NULL},
		       "--only does not go");
	file = fopen(trace, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_string_equal(text, "kept");
}

/* It ends by itself, with a name that tells whose it is. */
static void
a_watch_has_an_end_of_its_own(void **state)
{
	pid_t child = start_child();
	char pid[16], path[128], wanted[4096];
	struct run run;
	json_t *read;

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)child);
	snprintf(path, sizeof(path), "for-%%p.vmt");
	snprintf(wanted, sizeof(wanted), "%s", scratch_file(path));
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "--watch", "-p", pid, "--for",
					  "50ms", "-o", wanted, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	snprintf(path, sizeof(path), "for-%d.vmt", (int)child);
	read = report(scratch_file(path), NULL);
	assert_string_equal(word(read, "end"), "stopped");
	json_decref(read);
	end_child(child);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_it_touches_is_seen_over_time),
	    cmocka_unit_test(the_watch_ends_with_the_process),
	    cmocka_unit_test(a_kill_leaves_a_trace_that_reads),
	    cmocka_unit_test(what_can_not_be_watched_is_refused),
	    cmocka_unit_test(a_watch_has_an_end_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
