/*
 * test_snapshot_programs.c: is a snapshot of a real program right?
 *
 * Static Go programs against what their runtime counts, also one in a container of its own; an
 * interpreter and a server against smaps. Each is stopped while both look at it.
 */
#include "tests/e2e/go_programs.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB INT64_C(1048576)

static int64_t
rollup(int pid, const char *field)
{
	char path[64];
	char line[256];
	int64_t bytes = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (bytes < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
			bytes = 1024 * strtoll(line + strlen(field) + 1, NULL, 10);
	fclose(file);
	return bytes;
}

static void
stop(int pid)
{
	char path[64];
	char line[512];
	int64_t deadline_ms = now_ms() + 30000;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	do {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		assert_non_null(fgets(line, sizeof(line), file));
		fclose(file);
		assert_true(now_ms() < deadline_ms);
		assert_int_not_equal(strrchr(line, ')')[2], 'Z');
	} while (strrchr(line, ')')[2] != 'T');
}

/* Stopped for as long as it is looked at: what fails later finds it running. */
static json_t *
snapshot_of(int pid, int64_t *rss_bytes, int64_t *dirty_bytes)
{
	json_t *root;

	stop(pid);
	*rss_bytes = rollup(pid, "Rss");
	*dirty_bytes = rollup(pid, "Private_Dirty");
	root = snapshot_report(pid);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(class_figure(root, "unattributed", "reserved_bytes"), 0);
	return root;
}

static void
check_go(int pid, const char *version, char *line)
{
	int64_t in_use = strtoll(line, &line, 10);
	int64_t idle = strtoll(line, &line, 10);
	int64_t rss_bytes, dirty_bytes;
	json_t *root, *go;

	root = snapshot_of(pid, &rss_bytes, &dirty_bytes);
	go = member(root, "go");
	assert_non_null(strstr(json_string_value(member(go, "version")), version));
	assert_int_equal(number(go, "heap_in_use_bytes"), in_use);
	assert_int_equal(number(go, "heap_idle_bytes"), idle);
	assert_true(go_heap_figure(root, "committed_bytes") >= 57 * MIB);
	assert_true(go_heap_figure(root, "committed_bytes") <=
		    in_use + idle + number(go, "stacks_bytes"));
	/* What else the runtime has; the system may give it huge pages. */
	assert_in_range(class_committed(root, "anonymous memory"), 1, 64 * MIB);
	assert_int_equal(number(member(root, "snapshot"), "rss_bytes"), rss_bytes);
	json_decref(root);
}

static void
check_static(const char *version)
{
	struct conversation talk;

	converse_start(
	    &talk,
	    (const char *const[]){go_program_without_cgo(version, "looked", "static", NULL), NULL},
	    NULL);
	converse_read_line(&talk);
	check_go(talk.pid, version, talk.line);
	assert_int_equal(converse_end(&talk), 0);
}

/* Without symbols the program's code tells where its runtime counts. */
static void
check_stripped(const char *version)
{
	static const char *const flags[] = {"-ldflags=-s -w", NULL};
	struct conversation talk;

	converse_start(&talk,
		       (const char *const[]){
			   go_program_without_cgo(version, "looked", "stripped", flags), NULL},
		       NULL);
	converse_read_line(&talk);
	check_go(talk.pid, version, talk.line);
	assert_int_equal(converse_end(&talk), 0);
}

#define TESTS(id, version) TEST(static, id, version) TEST(stripped, id, version)
#define TEST GO_TEST_FUNCTION
GO_VERSIONS(TESTS)
#undef TEST

static int
child_of(int pid)
{
	char path[64];
	char line[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	return atoi(line);
}

/* Its files are found below its own root, by its number out here. */
static void
test_in_a_container(void **state)
{
	const char *directory = scratch_file("root");
	struct conversation talk;
	char path[512];
	struct run run;
	int child;

	(void)state;
	go_need("1.26");
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(directory, 0755), 0);
	snprintf(path, sizeof(path), "%s/service", directory);
	run_program(&run,
		    (const char *const[]){
			"cp", go_program_without_cgo("1.26", "looked", "static", NULL), path, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	run_program(&run, (const char *const[]){"unshare", "--pid", "--fork", "true", NULL}, NULL);
	child = run.exit_status;
	run_free(&run);
	if (child != 0)
		skip();
	converse_start(&talk,
		       (const char *const[]){"unshare", "--pid", "--mount", "--fork",
					     "--kill-child", "chroot", directory, "/service", NULL},
		       NULL);
	converse_read_line(&talk);
	child = child_of(talk.pid);
	assert_true(child > 0);
	check_go(child, "1.26", talk.line);
	assert_int_equal(converse_end(&talk), 0);
}

/* What is ready says so in a line of its output; then it is stopped. */
static void
check_smaps(const char *const argv[], const char *ready)
{
	int64_t rss_bytes, dirty_bytes;
	struct conversation talk;
	json_t *root, *kernel;

	prefer_system_programs();
	need_program(argv[0]);
	converse_start(&talk, argv, NULL);
	do
		converse_read_line(&talk);
	while (!strstr(talk.line, ready));
	root = snapshot_of(talk.pid, &rss_bytes, &dirty_bytes);
	kernel = member(member(root, "snapshot"), "kernel");
	assert_int_equal(number(member(root, "snapshot"), "rss_bytes"), rss_bytes);
	/* A page of a file is private for as long as nobody else has it: not for two looks alike.
	 */
	assert_in_range(number(kernel, "private_bytes"), dirty_bytes, rss_bytes);
	json_decref(root);
	assert_int_equal(kill(talk.pid, SIGKILL), 0);
	converse_end(&talk);
}

static void
test_python(void **state)
{
	(void)state;
	check_smaps((const char *const[]){"python3", "-c",
					  "import sys, threading, time\n"
					  "held = [bytearray(4000) for i in range(5000)]\n"
					  "for i in range(4): threading.Thread(target=time.sleep, "
					  "args=(600,), daemon=True).start()\n"
					  "print('ready', flush=True)\n"
					  "sys.stdin.read()\n",
					  NULL},
		    "ready");
}

/* Without a port it listens at a socket; it ends where it has neither. */
static void
test_redis(void **state)
{
	(void)state;
	check_smaps((const char *const[]){"redis-server", "--port", "0", "--unixsocket",
					  scratch_file("redis.socket"), "--save", "", "--dir",
					  scratch(), "--loglevel", "notice", NULL},
		    "accept connections");
}

#define TEST GO_TEST_ENTRY
int
main(void)
{
	const struct CMUnitTest tests[] = {
	    GO_VERSIONS(TESTS) cmocka_unit_test(test_in_a_container),
	    cmocka_unit_test(test_python),
	    cmocka_unit_test(test_redis),
	};

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
