/*
 * test_answer.c: what does an answer say where there is more to read than there is time?
 */
#include "tools/serve/answer.h"

#include "base/procfs.h"
#include "tests/unit/build_trace.h"
#include "tests/unit/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define TRACES 5u
#define PLENTY UINT64_MAX /* a sanitizer has mapped terabytes */
#define ENOUGH_SECONDS 600u

static struct vmt_answer_source source = {.address = "127.0.0.1:1", .scheme = "http"};

static uint64_t
own_start_ticks(void)
{
	struct vmt_procfs_stat stat;
	int fd = vmt_procfs_open((uint32_t)getpid(), "stat");

	assert_true(fd >= 0 && vmt_procfs_read_stat(fd, &stat));
	close(fd);
	return stat.start_ticks;
}

static void
write_trace(unsigned number, const struct vmt_head *head)
{
	struct build_trace *build = build_trace_new(head);
	char path[200];

	snprintf(path, sizeof(path), "%s/%u.vmt", trace_file_directory, number);
	build_trace_write(build, path);
	build_trace_free(build);
}

/* Of processes that run: all are this one. And one that is said to have ended, and a look. */
static int
set_up(void **state)
{
	struct vmt_head head;

	if (trace_file_begin(state) < 0)
		return -1;
	build_trace_default_head(&head);
	head.pid = (uint32_t)getpid();
	head.start_ticks = own_start_ticks();
	for (unsigned i = 0; i < TRACES; i++) {
		head.random_id = i + 1;
		write_trace(i, &head);
	}
	head.random_id++;
	head.collected_end = VMT_END_EXIT;
	write_trace(TRACES, &head);
	head.random_id++;
	head.collected_end = VMT_END_RUNNING;
	head.notes = VMT_NOTE_SNAPSHOT;
	write_trace(TRACES + 1, &head);
	source.directory = strdup(trace_file_directory);
	source.quarantine = vmt_quarantine_new();
	return source.directory && source.quarantine ? 0 : -1;
}

static int
tear_down(void **state)
{
	for (unsigned i = 0; i < TRACES + 2; i++) {
		char path[200];

		snprintf(path, sizeof(path), "%s/%u.vmt", trace_file_directory, i);
		unlink(path);
	}
	vmt_quarantine_free(source.quarantine);
	free(source.directory);
	return trace_file_end(state);
}

/* The answer of one that reads for so many seconds; where it is late when it begins to write. */
static int
ask(enum vmt_request_kind kind, unsigned seconds, bool is_late, char **text, struct vmt_err *err)
{
	struct vmt_kept_traces *kept = vmt_kept_traces_new(PLENTY);
	struct vmt_request request = {.kind = kind};
	struct vmt_answer answer;
	size_t length;
	FILE *out = open_memstream(text, &length);
	int result;

	assert_true(kept && out);
	assert_int_equal(vmt_answer_begin(&answer, &source, &request, kept, seconds, err), 0);
	assert_int_equal(answer.traces.count, TRACES);
	if (is_late)
		answer.until_ns = 0;
	result = vmt_answer_write(&answer, out, err);
	vmt_answer_end(&answer);
	vmt_kept_traces_free(kept);
	fclose(out);
	return result;
}

static void
expect_metrics(unsigned seconds, bool is_late, unsigned read)
{
	struct vmt_err err = {""};
	char line[100];
	char *text;

	assert_int_equal(ask(VMT_REQUEST_METRICS, seconds, is_late, &text, &err), 0);
	snprintf(line, sizeof(line), "\nvmtrace_processes{exe=\"/usr/bin/victim\"} %u\n", read);
	assert_true((strstr(text, line) != NULL) == (read > 0));
	snprintf(line, sizeof(line), "\nvmtrace_unread_traces %u\n", TRACES - read);
	assert_non_null(strstr(text, line));
	free(text);
}

static void
metrics_count_what_there_was_no_time_for(void **state)
{
	(void)state;
	expect_metrics(ENOUGH_SECONDS, false, TRACES);
	expect_metrics(0, false, 0);
	expect_metrics(ENOUGH_SECONDS, true, 0);
}

/* A part of them would look like all. */
static void
a_profile_of_a_part_is_refused(void **state)
{
	struct vmt_err err = {""};
	char *text;

	(void)state;
	assert_int_equal(ask(VMT_REQUEST_HEAP, ENOUGH_SECONDS, false, &text, &err), 0);
	free(text);
	assert_int_equal(ask(VMT_REQUEST_HEAP, 0, false, &text, &err), -ETIME);
	assert_non_null(strstr(err.text, "when this is asked again"));
	free(text);
	err.text[0] = '\0';
	assert_int_equal(ask(VMT_REQUEST_ALLOCS, ENOUGH_SECONDS, true, &text, &err), -ETIME);
	assert_non_null(strstr(err.text, "pid=PID or exe=NAME"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(metrics_count_what_there_was_no_time_for),
	    cmocka_unit_test(a_profile_of_a_part_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
