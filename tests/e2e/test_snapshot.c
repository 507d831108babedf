/*
 * test_snapshot.c: does a snapshot of a running process say what the kernel says, and leave it as
 * it was?
 *
 * The process waits while it is looked at, so that /proc says the same before and after.
 */
#include "tests/e2e/harness.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB INT64_C(1048576)
#define THREADS 3

static const char *
text_of(int64_t value)
{
	static char texts[4][24];
	static unsigned at;

	at = (at + 1) % 4;
	snprintf(texts[at], sizeof(texts[at]), "%" PRId64, value);
	return texts[at];
}

static void
snapshot(struct run *run, int pid, const char *const options[])
{
	const char *argv[12] = {built("vmtrace"), "snapshot", text_of(pid)};
	size_t count = 3;

	for (size_t i = 0; options && options[i]; i++)
		argv[count++] = options[i];
	run_program(run, argv, NULL);
}

static json_t *
snapshot_json(int pid)
{
	json_error_t error;
	struct run run;
	json_t *root;

	snapshot(&run, pid, (const char *const[]){"--format", "json", NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	root = json_loads(run.out, 0, &error);
	assert_non_null(root);
	run_free(&run);
	check_report(root);
	assert_string_equal(json_string_value(member(member(root, "process"), "recorded")),
			    "snapshot");
	return root;
}

/* The sum of a figure of smaps in bytes, over the mappings whose line ends as said (NULL: all). */
static int64_t
smaps(int pid, const char *field, const char *end)
{
	char path[64];
	char line[4096];
	size_t field_bytes = strlen(field);
	bool counts = !end;
	int64_t sum = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long from, to;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr(line, '-'))
			counts = !strstr(line, "[vsyscall]") &&
				 (!end || (strlen(line) >= strlen(end) &&
					   strcmp(line + strlen(line) - strlen(end), end) == 0));
		else if (counts && strncmp(line, field, field_bytes) == 0 &&
			 line[field_bytes] == ':')
			sum += 1024 * strtoll(line + field_bytes + 1, NULL, 10);
	}
	fclose(file);
	return sum;
}

/* All that /proc says of what a process has done, and of its memory. SigQ counts its user's
 * signals. */
static char *
state_of(int pid)
{
	static const char *const files[] = {"maps", "stat", "status", "schedstat"};
	char *text = NULL;
	size_t text_bytes;
	FILE *all = open_memstream(&text, &text_bytes);

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char path[64];
		char line[4096];
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		file = fopen(path, "re");
		assert_non_null(file);
		while (fgets(line, sizeof(line), file))
			if (strncmp(line, "SigQ:", 5) != 0)
				fputs(line, all);
		fclose(file);
	}
	fclose(all);
	return text;
}

/* Once it says the same twice: what the kernel counts of a process that has just fallen asleep may
 * still be under way. */
static char *
settled_state_of(int pid)
{
	int64_t deadline_ms = now_ms() + 30000;
	char *before = state_of(pid);

	for (;;) {
		char *after;
		bool same;

		usleep(1000);
		after = state_of(pid);
		same = strcmp(before, after) == 0;
		free(before);
		if (same)
			return after;
		assert_true(now_ms() < deadline_ms);
		before = after;
	}
}

static bool
is_asleep(int pid, const char *thread)
{
	char path[64];
	char line[512];
	bool asleep;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", pid, thread);
	file = fopen(path, "re");
	if (!file)
		return true;
	asleep = fgets(line, sizeof(line), file) && strrchr(line, ')')[2] == 'S';
	fclose(file);
	return asleep;
}

static bool
are_asleep(int pid)
{
	char path[64];
	struct dirent *entry;
	bool asleep = true;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	assert_non_null(threads);
	while ((entry = readdir(threads)))
		asleep &= entry->d_name[0] == '.' || is_asleep(pid, entry->d_name);
	closedir(threads);
	return asleep;
}

static void
wait_asleep(int pid)
{
	int64_t deadline_ms = now_ms() + 30000;

	while (!are_asleep(pid)) {
		assert_true(now_ms() < deadline_ms);
		usleep(1000);
	}
}

static void
start(struct conversation *talk)
{
	converse_start(talk, (const char *const[]){built("tests/target/looked_at"), NULL}, NULL);
	converse_read_line(talk);
	wait_asleep(talk->pid);
}

static void
tell(struct conversation *talk, const char *line)
{
	assert_int_equal(write(talk->to, line, strlen(line)), strlen(line));
	converse_read_line(talk);
	wait_asleep(talk->pid);
}

static int64_t
stacks_bytes(char *line)
{
	int64_t bytes = 0;

	for (int i = 0; i < THREADS; i++) {
		uint64_t low = strtoull(line, &line, 10);
		uint64_t high = strtoull(line, &line, 10);

		bytes += (int64_t)(high - low);
	}
	return bytes;
}

static void
test_agrees_with_the_kernel(void **state)
{
	struct conversation talk;
	json_t *root;
	json_t *kernel;

	(void)state;
	start(&talk);
	root = snapshot_json(talk.pid);
	kernel = member(member(root, "snapshot"), "kernel");
	assert_int_equal(number(member(root, "snapshot"), "rss_bytes"),
			 smaps(talk.pid, "Rss", NULL));
	assert_int_equal(number(member(root, "snapshot"), "virtual_bytes"),
			 smaps(talk.pid, "Size", NULL));
	/* A page of a file is private for as long as nobody else has it: not for two looks alike.
	 */
	assert_in_range(number(kernel, "private_bytes"), smaps(talk.pid, "Private_Dirty", NULL),
			smaps(talk.pid, "Rss", NULL));
	assert_int_equal(class_figure(root, "heap", "reserved_bytes"),
			 smaps(talk.pid, "Size", "[heap]"));
	assert_int_equal(class_committed(root, "heap"), smaps(talk.pid, "Rss", "[heap]"));
	assert_true(class_committed(root, "heap") >= 2 * MIB);
	assert_int_equal(class_committed(root, "main stack"), smaps(talk.pid, "Rss", "[stack]"));
	assert_int_equal(class_committed(root, "shared memory"), 3 * MIB);
	assert_int_equal(class_figure(root, "thread stacks", "reserved_bytes"),
			 stacks_bytes(talk.line));
	assert_in_range(class_committed(root, "anonymous memory"), 5 * MIB, 5 * MIB + MIB / 2);
	assert_int_equal(class_figure(root, "unattributed", "reserved_bytes"), 0);
	json_decref(root);
	assert_int_equal(converse_end(&talk), 0);
}

/* Neither stopped nor woken, and nothing of its memory is another. */
static void
test_leaves_the_process_as_it_was(void **state)
{
	struct conversation talk;
	struct run run;
	char *before, *after;

	(void)state;
	start(&talk);
	before = settled_state_of(talk.pid);
	snapshot(&run, talk.pid, NULL);
	after = state_of(talk.pid);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(before, after);
	assert_non_null(says(run.out, "Snapshot of process "));
	assert_null(says(run.out, "Call sites"));
	assert_null(says(run.out, "unattributed"));
	free(before);
	free(after);
	run_free(&run);
	assert_int_equal(converse_end(&talk), 0);
}

static void
test_two_traces_differ_by_what_grew(void **state)
{
	const char *first = scratch_file("first.vmt");
	const char *second = scratch_file("second.vmt");
	struct conversation talk;
	struct run run;
	json_error_t error;
	json_t *root;

	(void)state;
	start(&talk);
	snapshot(&run, talk.pid, (const char *const[]){"-o", first, NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.out, "");
	run_free(&run);
	tell(&talk, "grow\n");
	snapshot(&run, talk.pid, (const char *const[]){"-o", second, NULL});
	run_free(&run);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", first, second, "--format",
					  "json", NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	root = json_loads(run.out, 0, &error);
	assert_non_null(root);
	assert_int_equal(
	    number(member(class_row(root, "anonymous memory"), "committed_bytes"), "delta"),
	    8 * MIB);
	json_decref(root);
	run_free(&run);
	root = report(second, NULL);
	check_report(root);
	json_decref(root);
	json_decref(dump(second, "snapshot"));
	assert_int_equal(converse_end(&talk), 0);
}

static void
test_tree(void **state)
{
	const char *directory = scratch_file("tree");
	struct conversation talk;
	struct stat status;
	struct run run;
	char child[32];
	char path[512];

	(void)state;
	start(&talk);
	tell(&talk, "fork\n");
	snprintf(child, sizeof(child), "%d", atoi(talk.line));
	wait_asleep(atoi(child));
	snapshot(&run, talk.pid, (const char *const[]){"--tree", "-o", directory, NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	assert_non_null(says(run.out, child));
	snprintf(path, sizeof(path), "%s/%s.vmt", directory, child);
	assert_int_equal(stat(path, &status), 0);
	run_free(&run);
	snapshot(&run, talk.pid, (const char *const[]){child, NULL});
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, child));
	run_free(&run);
	assert_int_equal(converse_end(&talk), 0);
}

static void
expect_refusal(const char *pid, const char *why)
{
	struct run run;

	run_program(&run, (const char *const[]){built("vmtrace"), "snapshot", pid, NULL}, NULL);
	assert_int_equal(run.exit_status, 1);
	assert_string_equal(run.out, "");
	assert_non_null(says(run.err, why));
	/* One line. */
	assert_ptr_equal(strchr(run.err, '\n'), run.err + strlen(run.err) - 1);
	run_free(&run);
}

static void
test_refused(void **state)
{
	pid_t child = fork();
	siginfo_t ended;

	(void)state;
	if (child == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
	expect_refusal(text_of(child), "has ended (a zombie)");
	assert_int_equal(waitpid(child, NULL, 0), child);
	expect_refusal(text_of(child), "there is no process");
}

/* By PF_KTHREAD among the flags, which stand seven words behind its name (proc(5)). */
static bool
is_kernel_thread(const char *pid)
{
	char path[64];
	char line[512] = "";
	unsigned flags = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(line, sizeof(line), file) && strrchr(line, ')'))
		sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
	fclose(file);
	return (flags & 0x00200000) != 0;
}

/* Of another user's process, as nobody; of the kernel's. */
static void
test_not_ones_own(void **state)
{
	const char *command = built_for_others("vmtrace");
	struct run run;

	(void)state;
	if (geteuid() != 0)
		skip();
	run_program(&run,
		    (const char *const[]){"setpriv", "--reuid", "65534", "--regid", "65534",
					  "--clear-groups", command, "snapshot", text_of(getpid()),
					  NULL},
		    NULL);
	assert_int_equal(run.exit_status, 1);
	assert_string_equal(run.out, "");
	assert_non_null(says(run.err, "another user's"));
	run_free(&run);
	/* In a container it may be any program, or nobody. */
	if (!is_kernel_thread("2"))
		return;
	expect_refusal("2", "is a kernel thread");
	/* One that can't be looked at says why, beside one that can. */
	run_program(
	    &run, (const char *const[]){built("vmtrace"), "snapshot", "2", text_of(getpid()), NULL},
	    NULL);
	assert_int_equal(run.exit_status, 1);
	assert_non_null(says(run.err, "is a kernel thread"));
	assert_non_null(says(run.out, "1 trace"));
	run_free(&run);
}

/* Its own process needs no privilege. */
static void
test_without_privilege(void **state)
{
	const char *command = built_for_others("vmtrace");
	const char *target = built_for_others("tests/target/looked_at");
	struct conversation talk;
	struct run run;

	(void)state;
	if (geteuid() != 0)
		skip();
	converse_start(&talk,
		       (const char *const[]){"setpriv", "--reuid", "65534", "--regid", "65534",
					     "--clear-groups", target, NULL},
		       NULL);
	converse_read_line(&talk);
	run_program(&run,
		    (const char *const[]){"setpriv", "--reuid", "65534", "--regid", "65534",
					  "--clear-groups", command, "snapshot", text_of(talk.pid),
					  NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	assert_non_null(says(run.out, "thread stacks"));
	run_free(&run);
	assert_int_equal(converse_end(&talk), 0);
}

/* It maps, fills and unmaps for as long as it is looked at: the rows add up all the same. */
static void
test_a_process_that_changes(void **state)
{
	struct conversation talk;

	(void)state;
	start(&talk);
	assert_int_equal(write(talk.to, "churn\n", 6), 6);
	converse_read_line(&talk);
	for (int i = 0; i < 5; i++)
		json_decref(snapshot_json(talk.pid));
	assert_int_equal(kill(talk.pid, SIGKILL), 0);
	converse_end(&talk);
}

static void
test_wrong_command_lines(void **state)
{
	static const char *const wrong[] = {"0", "abc", "-1x", "12a", "99999999999"};
	struct run run;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		run_program(
		    &run, (const char *const[]){built("vmtrace"), "snapshot", "--", wrong[i], NULL},
		    NULL);
		assert_int_equal(run.exit_status, 2);
		run_free(&run);
	}
	run_program(&run, (const char *const[]){built("vmtrace"), "snapshot", NULL}, NULL);
	assert_int_equal(run.exit_status, 2);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_agrees_with_the_kernel),
	    cmocka_unit_test(test_leaves_the_process_as_it_was),
	    cmocka_unit_test(test_two_traces_differ_by_what_grew),
	    cmocka_unit_test(test_tree),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_not_ones_own),
	    cmocka_unit_test(test_without_privilege),
	    cmocka_unit_test(test_a_process_that_changes),
	    cmocka_unit_test(test_wrong_command_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
