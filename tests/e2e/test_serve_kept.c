/*
 * test_serve_kept.c: is what vmtrace-serve keeps of a trace what the trace says, whatever becomes
 * of the trace meanwhile?
 *
 * An answer is kept for some seconds. So each look of a test asks in another way for the same.
 */
#include "tests/e2e/living.h"
#include "tests/e2e/serving.h"

#include "format/head.h"
#include "tests/soak.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAYS 12u

static char copies[3072]; /* a directory of copies of the trace, which no one writes */
static char copy[4096];
static int64_t seed;

static int
begin(void **state)
{
	need_program("protoc");
	if (serving_begin(state) < 0)
		return -1;
	snprintf(copies, sizeof(copies), "%s", scratch_file("copies"));
	snprintf(copy, sizeof(copy), "%s/copy.vmt", copies);
	seed = now_ms();
	print_message("seed %lld\n", (long long)seed);
	return mkdir(copies, 0700);
}

/* Of a profile's paths the n-th of those that mean the recorded program. */
static const char *
way(unsigned n)
{
	static char path[4600];
	const char *exe = n % 3 == 1 ? "&exe=moments" : "";
	char whole[4200] = "";
	char pid[32] = "";

	assert_true(n < WAYS);
	if (n % 3 == 2)
		snprintf(whole, sizeof(whole), "&exe=%s", built("tests/target/moments"));
	if (n / 3 % 2 == 1)
		snprintf(pid, sizeof(pid), "&pid=%d", (int)serving_program.pid);
	snprintf(path, sizeof(path), "/debug/pprof/%s?gc=1%s%s%s", n / 6 == 0 ? "heap" : "allocs",
		 exe, whole, pid);
	return path;
}

/* What a server answers in the n-th way: the status, and the profile without its times. These are
 * those of the last look at the clock. */
static void
look(struct run *run, unsigned port, unsigned n)
{
	shell("status=$(curl --silent --noproxy '*' --max-time 100 --output '%s' "
	      "--write-out '%%{http_code}' 'http://127.0.0.1:%u%s') && "
	      "{ echo \"$status\"; if [ \"$status\" = 200 ]; then gunzip <'%s' | "
	      "protoc --decode_raw | grep -v '^\\(9\\|10\\): '; else cat '%s'; fi; } >'%s'",
	      scratch_file("answer"), port, way(n), scratch_file("answer"), scratch_file("answer"),
	      scratch_file("look"));
	run_program(run, (const char *const[]){"cat", scratch_file("look"), NULL}, NULL);
	assert_int_equal(run->exit_status, 0);
}

/* The same of a server that has kept nothing. */
static void
look_anew(struct run *run, const char *directory, unsigned n)
{
	static struct conversation server;
	unsigned port = serving_start_in(&server, directory, NULL);

	look(run, port, n);
	serving_stop(&server);
}

static int64_t
random_below(int64_t bound)
{
	seed = (int64_t)(((uint64_t)seed * 6364136223846793005u + 1442695040888963407u) >> 1);
	return (seed >> 24) % bound;
}

static void
say(const char *line)
{
	assert_true(write(serving_program.to, line, strlen(line)) > 0);
	converse_read_line(&serving_program);
}

static void
do_something(void)
{
	for (int64_t i = random_below(4); i > 0; i--) {
		say("spike\n");
		if (random_below(2) == 0)
			living_snapshot(serving_trace);
		say("drop\n");
	}
	if (random_below(2) == 0)
		say("keep\n");
}

/* While the program goes on. Where a look before and one after differ, there is none to compare
 * with. */
static void
test_what_is_kept_is_what_is_read_anew(void **state)
{
	static struct conversation server;
	unsigned port = serving_start(&server, NULL);
	unsigned looks = (unsigned)soak_count(4, WAYS);
	unsigned compared = 0;

	(void)state;
	for (unsigned n = 0; n < looks; n++) {
		struct run before, kept, after;

		do_something();
		look_anew(&before, serving_directory, n);
		look(&kept, port, n);
		look_anew(&after, serving_directory, n);
		assert_true(says(kept.out, "200\n"));
		if (strcmp(before.out, after.out) == 0) {
			assert_string_equal(kept.out, before.out);
			compared++;
		}
		run_free(&before);
		run_free(&kept);
		run_free(&after);
	}
	print_message("%u of %u moments compared\n", compared, looks);
	serving_stop(&server);
}

static void
expect_as_anew(unsigned port, unsigned n, const char *status)
{
	struct run kept, anew;

	look(&kept, port, n);
	look_anew(&anew, copies, n);
	assert_string_equal(kept.out, anew.out);
	if (status && strncmp(kept.out, status, 3) != 0)
		fail_msg("look %u: %.4s, not %s", n, kept.out, status);
	run_free(&kept);
	run_free(&anew);
}

static void
expect_none_left_out(unsigned port)
{
	struct run run;

	serving_ask(&run, port, "/metrics", NULL);
	assert_int_equal(serving_status(&run), 200);
	assert_non_null(strstr(run.out, "\nvmtrace_quarantined_traces 0\n"));
	run_free(&run);
}

/* Cut to nothing, to less than a head, within its chunks; made whole again at the same place, and
 * another file of the same name; under another name; gone. */
static void
test_whatever_becomes_of_its_file(void **state)
{
	static const struct {
		const char *command;
		const char *status; /* NULL: as that of who reads it anew */
	} steps[] = {{"cp '%s' copy.vmt", "200"},
		     {": '%s'; truncate -s $(($(stat -c %%s copy.vmt) - 100)) copy.vmt", NULL},
		     {": '%s'; truncate -s 5000 copy.vmt", "404"},
		     {"cp '%s' copy.vmt", "200"},
		     {": '%s'; : >copy.vmt", "404"},
		     {"cp '%s' next && mv next copy.vmt", "200"},
		     {"cp '%s' next && rm copy.vmt && mv next other.vmt", "200"},
		     {": '%s'; rm other.vmt", "404"},
		     {"cp '%s' copy.vmt", "200"}};
	static struct conversation server;
	unsigned port = serving_start_in(&server, copies, NULL);

	(void)state;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		char command[5000];

		snprintf(command, sizeof(command), steps[i].command, serving_trace);
		shell("cd '%s' && %s", copies, command);
		expect_as_anew(port, i, steps[i].status);
	}
	expect_none_left_out(port);
	serving_stop(&server);
}

/* Another process has its pid. */
static void
test_a_pid_that_another_process_has(void **state)
{
	static struct conversation server;
	unsigned port = serving_start_in(&server, copies, NULL);
	uint64_t start_ticks;
	int fd;

	(void)state;
	shell("cp '%s' '%s'", serving_trace, copy);
	expect_as_anew(port, 0, "200");
	fd = open(copy, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(
	    pread(fd, &start_ticks, sizeof(start_ticks), offsetof(struct vmt_head, start_ticks)),
	    sizeof(start_ticks));
	start_ticks--;
	assert_int_equal(
	    pwrite(fd, &start_ticks, sizeof(start_ticks), offsetof(struct vmt_head, start_ticks)),
	    sizeof(start_ticks));
	close(fd);
	expect_as_anew(port, 1, "404");
	shell("cp '%s' '%s'", serving_trace, copy);
	expect_as_anew(port, 2, "200");
	expect_none_left_out(port);
	serving_stop(&server);
}

static double
age_of(const char *metrics)
{
	static const char name[] = "\nvmtrace_answer_age_seconds ";

	assert_non_null(strstr(metrics, name));
	return strtod(strstr(metrics, name) + sizeof(name) - 1, NULL);
}

/* Until an answer is of now, or is an older one. */
static void
ask_until(unsigned port, bool is_older)
{
	int64_t deadline_ms = now_ms() + SERVING_LIMIT_MS;
	bool found = false;

	while (!found) {
		struct run run;

		serving_ask(&run, port, "/metrics", NULL);
		assert_int_equal(serving_status(&run), 200);
		assert_true(serving_metric(run.out, "\nvmtrace_rss_bytes{") > 0);
		found = is_older ? age_of(run.out) >= 8 : age_of(run.out) <= 0;
		run_free(&run);
		if (now_ms() > deadline_ms)
			fail_msg("no answer is %s", is_older ? "an older one" : "of now");
		poll(NULL, 0, 100);
	}
}

/* Who reads the traces stands still: a scraper gets the last metrics, which say how old they are.
 */
static void
test_metrics_while_the_next_take_long(void **state)
{
	static struct conversation server;
	unsigned port;

	(void)state;
	if (soak_count(0, 1) == 0)
		skip(); /* 15 seconds of waiting */
	port = serving_start(&server, NULL);
	ask_until(port, false);
	shell("pkill -STOP -P %d", server.pid);
	ask_until(port, true);
	shell("pkill -CONT -P %d", server.pid);
	ask_until(port, false);
	serving_stop(&server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_kept_is_what_is_read_anew),
	    cmocka_unit_test(test_whatever_becomes_of_its_file),
	    cmocka_unit_test(test_a_pid_that_another_process_has),
	    cmocka_unit_test(test_metrics_while_the_next_take_long),
	};

	return cmocka_run_group_tests(tests, begin, serving_end);
}
