#include "tools/serve/worker.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct vmt_worker_limits plenty = {
    .memory_bytes = 1u << 28, .output_bytes = 1u << 24, .seconds = 120};

typedef int work(void *context, FILE *out, struct vmt_err *err);

/* What the reader was asked is the context of its work. */
static int
take_question(void *context, const void *question, struct vmt_err *err)
{
	(void)err;
	memcpy(context, question, sizeof(size_t));
	return 0;
}

static enum vmt_worker_state
ask(struct vmt_worker *worker, size_t question)
{
	struct vmt_err err = {""};
	enum vmt_worker_state state;

	assert_int_equal(vmt_worker_ask(worker, &question, sizeof(question), &err), 0);
	while ((state = vmt_worker_step(worker)) == VMT_WORKER_RUNS) {
		struct pollfd fd = {.fd = vmt_worker_fd(worker), .events = POLLIN};

		poll(&fd, 1, 100);
	}
	assert_false(worker->is_asked);
	return state;
}

static size_t asked;
static struct vmt_worker_job job;

static void
begin(struct vmt_worker *worker, const struct vmt_worker_limits *limits, work *write)
{
	job = (struct vmt_worker_job){.context = &asked, .read = take_question, .write = write};
	vmt_worker_begin(worker, limits, &job);
}

static enum vmt_worker_state
run(struct vmt_worker *worker, const struct vmt_worker_limits *limits, work *write, size_t question)
{
	begin(worker, limits, write);
	return ask(worker, question);
}

static int
write_much(void *context, FILE *out, struct vmt_err *err)
{
	size_t bytes = *(const size_t *)context;

	(void)err;
	for (size_t i = 0; i < bytes; i++)
		putc((int)('a' + i % 26), out);
	return 0;
}

static void
a_result_comes_whole(void **state)
{
	static const size_t lengths[] = {0, 1, 65535, 65536, 65537, 1u << 20};
	struct vmt_worker worker;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		size_t length = lengths[i];

		assert_int_equal(run(&worker, &plenty, write_much, length), VMT_WORKER_DONE);
		assert_int_equal(worker.length, length);
		for (size_t at = 0; at < length; at++)
			if (worker.bytes[at] != 'a' + at % 26)
				fail_msg("byte %zu of %zu is wrong", at, length);
		vmt_worker_stop(&worker);
	}
}

static void
too_much_is_cut_off_and_is_no_result(void **state)
{
	const struct vmt_worker_limits limits = {
	    .memory_bytes = 1u << 28, .output_bytes = 1u << 17, .seconds = 120};
	struct vmt_worker worker;

	(void)state;
	assert_int_equal(run(&worker, &limits, write_much, 1u << 20), VMT_WORKER_LOST);
	assert_int_equal(worker.lost_by, 0);
	assert_int_equal(worker.length, 0);
	vmt_worker_stop(&worker);
}

static int
fail_with(void *context, FILE *out, struct vmt_err *err)
{
	(void)out;
	return vmt_err_set(err, *(const int *)context, "what is wrong");
}

static void
a_failure_says_why(void **state)
{
	struct vmt_worker worker;

	(void)state;
	assert_int_equal(run(&worker, &plenty, fail_with, ENOENT), VMT_WORKER_ABSENT);
	assert_int_equal(worker.length, strlen("what is wrong\n"));
	assert_memory_equal(worker.bytes, "what is wrong\n", worker.length);
	vmt_worker_stop(&worker);
	assert_int_equal(run(&worker, &plenty, fail_with, EIO), VMT_WORKER_FAILED);
	assert_memory_equal(worker.bytes, "what is wrong\n", worker.length);
	vmt_worker_stop(&worker);
}

static int
die(void *context, FILE *out, struct vmt_err *err)
{
	(void)context;
	(void)err;
	fputs("half of a res", out);
	fflush(out);
	raise(SIGKILL);
	return 0;
}

static void
half_a_result_is_none(void **state)
{
	struct vmt_worker worker;

	(void)state;
	assert_int_equal(run(&worker, &plenty, die, 0), VMT_WORKER_LOST);
	assert_int_equal(worker.lost_by, SIGKILL);
	assert_int_equal(worker.length, 0);
	vmt_worker_stop(&worker);
}

static int
wait_for_ever(void *context, FILE *out, struct vmt_err *err)
{
	(void)context;
	(void)err;
	fprintf(out, "%d", (int)fork()); /* what it starts goes with it */
	fflush(out);
	while (pause() < 0)
		;
	return 0;
}

static void
what_takes_too_long_is_killed_with_its_children(void **state)
{
	const struct vmt_worker_limits limits = {
	    .memory_bytes = 1u << 28, .output_bytes = 1u << 17, .seconds = 1};
	struct vmt_worker worker;
	int status;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* what it leaves becomes ours */
	assert_int_equal(run(&worker, &limits, wait_for_ever, 0), VMT_WORKER_LOST);
	assert_int_equal(worker.lost_by, SIGALRM);
	assert_int_equal(worker.length, 0);
	vmt_worker_stop(&worker);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
stopping_kills(void **state)
{
	size_t question = 0;
	struct vmt_err err = {""};
	struct vmt_worker worker;
	pid_t pid;

	(void)state;
	begin(&worker, &plenty, wait_for_ever);
	assert_int_equal(vmt_worker_ask(&worker, &question, sizeof(question), &err), 0);
	pid = worker.pid;
	vmt_worker_stop(&worker);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	vmt_worker_stop(&worker); /* again does nothing */
}

static int
list_descriptors(void *context, FILE *out, struct vmt_err *err)
{
	DIR *open = opendir("/proc/self/fd");
	const struct dirent *entry;

	(void)context;
	(void)err;
	while (open && (entry = readdir(open)) != NULL)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(open))
			fprintf(out, "%s ", entry->d_name);
	return open ? 0 : -EIO;
}

/* Connections, keys and sockets of the server are none of its business. */
static void
it_has_the_three_standard_descriptors_alone(void **state)
{
	int more = dup(STDERR_FILENO);
	struct vmt_worker worker;

	(void)state;
	assert_true(more > STDERR_FILENO);
	assert_int_equal(run(&worker, &plenty, list_descriptors, 0), VMT_WORKER_DONE);
	assert_int_equal(worker.length, strlen("0 1 2 "));
	assert_memory_equal(worker.bytes, "0 1 2 ", worker.length);
	vmt_worker_stop(&worker);
	close(more);
}

static int
write_a_file(void *context, FILE *out, struct vmt_err *err)
{
	FILE *file = tmpfile();

	(void)context;
	(void)err;
	fputs("much", file);
	fprintf(out, "%d", fflush(file) != 0 && errno == EFBIG);
	return 0;
}

/* A compressed trace expands into one. */
static void
it_writes_no_file(void **state)
{
	struct vmt_worker worker;

	(void)state;
	assert_int_equal(run(&worker, &plenty, write_a_file, 0), VMT_WORKER_DONE);
	assert_int_equal(worker.length, 1);
	assert_int_equal(worker.bytes[0], '1');
	vmt_worker_stop(&worker);
}

static int
tell_cpu_limit(void *context, FILE *out, struct vmt_err *err)
{
	struct rlimit cpu;

	(void)context;
	(void)err;
	if (getrlimit(RLIMIT_CPU, &cpu) != 0)
		return -errno;
	fprintf(out, "%llu %llu", (unsigned long long)cpu.rlim_cur,
		(unsigned long long)cpu.rlim_max);
	return 0;
}

/* A report's reader has two threads: both may be at work for all of the time. */
static void
it_has_two_seconds_of_cpu_for_each_of_the_clock(void **state)
{
	struct vmt_worker worker;

	(void)state;
	assert_int_equal(run(&worker, &plenty, tell_cpu_limit, 0), VMT_WORKER_DONE);
	assert_int_equal(worker.length, strlen("240 241"));
	assert_memory_equal(worker.bytes, "240 241", worker.length);
	vmt_worker_stop(&worker);
}

/* Counts how often this reader was asked. */
static int
count(void *context, const void *question, struct vmt_err *err)
{
	(void)question;
	(void)err;
	++*(size_t *)context;
	return 0;
}

/* What a child does to its copy is lost with it; 3 is fatal. */
static int
tell_count(void *context, FILE *out, struct vmt_err *err)
{
	(void)err;
	fprintf(out, "%zu", *(size_t *)context);
	*(size_t *)context += 100;
	if (*(size_t *)context == 103)
		raise(SIGKILL);
	return 0;
}

static void
expect_count(struct vmt_worker *worker, enum vmt_worker_state state, const char *text)
{
	assert_int_equal(ask(worker, 0), state);
	assert_int_equal(worker->length, strlen(text));
	assert_memory_equal(worker->bytes, text, worker->length);
	free(worker->bytes);
	worker->bytes = NULL;
}

static void
a_reader_keeps_what_it_read_also_when_a_child_is_lost(void **state)
{
	struct vmt_worker worker;

	(void)state;
	asked = 0;
	begin(&worker, &plenty, tell_count);
	job.read = count;
	expect_count(&worker, VMT_WORKER_DONE, "1");
	expect_count(&worker, VMT_WORKER_DONE, "2");
	expect_count(&worker, VMT_WORKER_LOST, "");
	expect_count(&worker, VMT_WORKER_DONE, "4");
	assert_int_equal(kill(worker.pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)worker.pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	expect_count(&worker, VMT_WORKER_DONE, "1");
	vmt_worker_stop(&worker);
	assert_int_equal(asked, 0);
}

static int
never_read(void *context, const void *question, struct vmt_err *err)
{
	(void)context;
	(void)question;
	(void)err;
	while (pause() < 0)
		;
	return 0;
}

static void
a_reader_that_hangs_is_killed(void **state)
{
	const struct vmt_worker_limits limits = {
	    .memory_bytes = 1u << 28, .output_bytes = 1u << 17, .seconds = 0};
	struct vmt_worker worker;

	(void)state;
	begin(&worker, &limits, tell_count);
	job.read = never_read;
	expect_count(&worker, VMT_WORKER_LOST, "");
	assert_int_equal(worker.lost_by, SIGALRM);
	assert_int_equal(worker.pid, 0);
	vmt_worker_stop(&worker);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_result_comes_whole),
	    cmocka_unit_test(too_much_is_cut_off_and_is_no_result),
	    cmocka_unit_test(a_failure_says_why),
	    cmocka_unit_test(half_a_result_is_none),
	    cmocka_unit_test(what_takes_too_long_is_killed_with_its_children),
	    cmocka_unit_test(stopping_kills),
	    cmocka_unit_test(it_has_the_three_standard_descriptors_alone),
	    cmocka_unit_test(it_writes_no_file),
	    cmocka_unit_test(it_has_two_seconds_of_cpu_for_each_of_the_clock),
	    cmocka_unit_test(a_reader_keeps_what_it_read_also_when_a_child_is_lost),
	    cmocka_unit_test(a_reader_that_hangs_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
