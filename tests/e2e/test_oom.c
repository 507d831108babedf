/*
 * test_oom.c: what does a report say after the kernel's OOM killer was there?
 *
 * In a memory cgroup with a limit, version 1 or 2: of a program that the kernel killed, and of one
 * that went together with its collector, as where the whole cgroup is killed; and of one that has
 * but a part of what fills the limit.
 */
#include "tests/e2e/living.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT "50331648" /* 48 MiB */

static char cgroup[128];

static bool
write_file(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cgroup, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

static bool
make_cgroup(const char *hierarchy, const char *limit)
{
	snprintf(cgroup, sizeof(cgroup), "%s/vmtrace-test-%d", hierarchy, getpid());
	if (mkdir(cgroup, 0755) != 0)
		return false;
	(void)write_file("memory.swap.max", "0");
	if (write_file(limit, LIMIT))
		return true;
	rmdir(cgroup);
	return false;
}

static void
need_cgroup(void)
{
	if (make_cgroup("/sys/fs/cgroup/memory", "memory.limit_in_bytes") ||
	    make_cgroup("/sys/fs/cgroup", "memory.max"))
		return;
	printf("skip: no memory cgroup that may be written\n");
	skip();
}

static void
kill_all(void)
{
	char path[256];
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	FILE *file = fopen(path, "re");

	while (file != NULL && fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (file != NULL)
		fclose(file);
}

/* Once its processes are gone. */
static void
remove_cgroup(void)
{
	int64_t deadline = now_ms() + 30000;

	while (rmdir(cgroup) != 0) {
		kill_all();
		usleep(1000);
		assert_true(now_ms() < deadline);
	}
}

static void
start_starving(struct conversation *talk, const char *trace, const char *most)
{
	const char *const *library = preloaded(trace);
	char script[512];

	unlink(trace);
	snprintf(script, sizeof(script),
		 "echo $$ >%s/cgroup.procs && exec env \"$0\" \"$1\" \"$2\" $3", cgroup);
	converse_start(talk,
		       (const char *const[]){"sh", "-c", script, library[0], library[1],
					     built("tests/target/starve"), most, NULL},
		       NULL);
}

static void
check_says(const char *trace, const char *const words[])
{
	const char *const argv[] = {built("vmtrace"), "report", trace, NULL};
	struct run run;

	run_program(&run, argv, (const char *const[]){"COLUMNS=400", NULL});
	assert_int_equal(run.exit_status, 0);
	for (size_t i = 0; words[i] != NULL; i++)
		if (strstr(run.out, words[i]) == NULL)
			fail_msg("the report does not say \"%s\":\n%s", words[i], run.out);
	run_free(&run);
}

static void
check_metrics(const char *trace)
{
	const char *const argv[] = {built("vmtrace"), "report",	     trace,
				    "--format",	      "openmetrics", NULL};
	struct run run;

	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(strstr(run.out, "end=\"oom\""));
	run_free(&run);
}

/* The command that waits for the program says what became of it. */
static void
test_record_says_so(void **state)
{
	const char *trace = scratch_file("recorded.vmt");
	char script[512];
	struct run run;

	(void)state;
	need_cgroup();
	snprintf(script, sizeof(script),
		 "echo $$ >%s/cgroup.procs && exec \"$0\" record -o \"$1\" -- \"$2\" 1000", cgroup);
	run_program(&run,
		    (const char *const[]){"sh", "-c", script, built("vmtrace"), trace,
					  built("tests/target/starve"), NULL},
		    NULL);
	assert_int_equal(run.exit_status, 128 + SIGKILL);
	if (strstr(run.err, "was killed by the OOM killer: its cgroup had reached its limit of 48 "
			    "MiB") == NULL)
		fail_msg("%s", run.err);
	run_free(&run);
	remove_cgroup();
}

static void
test_killed_by_kernel(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("oom.vmt");

	(void)state;
	need_cgroup();
	start_starving(&talk, trace, "1000");
	int status = living_reap(&talk, trace);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	remove_cgroup();
	json_t *root = report(trace, NULL);
	json_t *fullest;

	check_report(root);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "signal");
	assert_true(json_is_true(member(member(root, "process"), "oom")));
	check_metrics(trace);
	assert_true(site_sum(root, "mmap", "starve_more", "grown_bytes") > 0);
	assert_int_equal(site_sum(root, "mmap", "take_base", "grown_bytes"), 0);
	assert_true(number(member(root, "cgroup"), "peak_bytes") > 40 << 20);
	/* What filled the limit is of before the kill: all that this process had is in it. */
	fullest = member(member(root, "cgroup"), "fullest");
	assert_true(2 * number(fullest, "anonymous_bytes") >= number(fullest, "process_rss_bytes"));
	check_says(trace, (const char *const[]){"killed by the OOM killer", "limit of 48 MiB",
						"What grew last", "starve_more",
						"killed in this cgroup: once", NULL});
	json_decref(root);
}

static void
test_killed_together(void **state)
{
	static struct conversation talk;
	const char *trace = scratch_file("group.vmt");

	(void)state;
	need_cgroup();
	start_starving(&talk, trace, "44");
	converse_read_line(&talk);
	living_snapshot(trace);
	kill_all();
	converse_end(&talk);
	remove_cgroup();
	json_t *root = report(trace, NULL);

	check_report(root);
	assert_string_equal(json_string_value(member(member(root, "process"), "end")), "cut");
	assert_true(site_sum(root, "mmap", "starve_more", "committed_bytes") >= 27 << 20);
	check_says(trace, (const char *const[]){
			      "cut: most likely killed; no collector was left to record the cause",
			      "last event at", "limit of 48 MiB", "an OOM kill is likely",
			      "What grew last", "starve_more", NULL});
	json_decref(root);
}

/* Runs a script in a cgroup below the one that has the limit. */
static void
start_below(struct conversation *talk, const char *what, const char *argument)
{
	char script[1024];

	snprintf(script, sizeof(script),
		 "mkdir -p %s/other && echo $$ >%s/other/cgroup.procs && exec \"$0\" %s", cgroup,
		 cgroup, argument);
	converse_start(talk, (const char *const[]){"sh", "-c", script, what, NULL}, NULL);
}

static void
spool(const char *path)
{
	static struct conversation talk;
	char argument[256];

	snprintf(argument, sizeof(argument), "if=/dev/zero of=%s bs=1M count=8 2>/dev/null", path);
	start_below(&talk, "dd", argument);
	assert_int_equal(converse_end(&talk), 0);
}

static void
remove_below(void)
{
	char whole[sizeof(cgroup)];

	memcpy(whole, cgroup, sizeof(cgroup));
	snprintf(cgroup, sizeof(cgroup), "%.100s/other", whole);
	remove_cgroup();
	memcpy(cgroup, whole, sizeof(cgroup));
}

/* The account of the cgroup, once the collector has read that so much is in use. */
static json_t *
wait_for_use(const char *trace, int64_t bytes)
{
	int64_t deadline = now_ms() + 60000;

	for (;;) {
		json_t *root = report(trace, NULL);
		json_t *figure = member(member(member(root, "cgroup"), "fullest"), "bytes");

		if (json_integer_value(figure) >= bytes)
			return root;
		json_decref(root);
		assert_true(now_ms() < deadline);
		usleep(50000);
	}
}

/* What filled the limit, apart: this process, what others have in a cgroup beside, and files in
 * tmpfs. All of them stand still. */
static void
test_what_filled_the_limit(void **state)
{
	static struct conversation neighbour, talk;
	const int64_t mib = 1 << 20;
	const char *trace = scratch_file("filled.vmt");
	char path[64];

	(void)state;
	need_cgroup();
	snprintf(path, sizeof(path), "/dev/shm/vmtrace-test-%d", getpid());
	start_below(&neighbour, built("tests/target/starve"), "17");
	converse_read_line(&neighbour);
	spool(path);
	start_starving(&talk, trace, "17");
	converse_read_line(&talk);
	json_t *root = wait_for_use(trace, 41 * mib);
	json_t *fullest = member(member(root, "cgroup"), "fullest");

	assert_int_equal(number(member(root, "cgroup"), "limit_bytes"), 48 * mib);
	assert_in_range(number(fullest, "anonymous_bytes"), 33 * mib, 39 * mib);
	assert_in_range(number(fullest, "shared_memory_bytes"), 8 * mib, 9 * mib);
	assert_in_range(number(fullest, "process_rss_bytes"), 17 * mib, 22 * mib);
	check_says(trace, (const char *const[]){
			      "highest usage seen 4",
			      " in other processes), 8 MiB tmpfs and other shared memory, ", NULL});
	json_decref(root);
	unlink(path);
	kill_all();
	converse_end(&talk);
	converse_end(&neighbour);
	remove_below();
	remove_cgroup();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_killed_by_kernel),
	    cmocka_unit_test(test_record_says_so),
	    cmocka_unit_test(test_killed_together),
	    cmocka_unit_test(test_what_filled_the_limit),
	};

	return cmocka_run_group_tests_name("oom", tests, NULL, NULL);
}
