/* trees.c: see trees.h. */
#include "tests/e2e/trees.h"

#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of /proc/PID/stat; false: it is gone. */
static bool
try_stat(pid_t pid, char *state, int *parent)
{
	char path[64], text[1024] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	bool is_there = file && fgets(text, sizeof(text), file) != NULL;

	if (file)
		fclose(file);
	return is_there && sscanf(strrchr(text, ')'), ") %c %d", state, parent) == 2;
}

static void
read_stat(pid_t pid, char *state, int *parent)
{
	assert_true(try_stat(pid, state, parent));
}

/* Until its end. */
static struct tree *running;

int
trees_end(struct tree *tree)
{
	running = NULL;
	return converse_end(&tree->talk);
}

/* Starts `vmtrace record` of a program; the traces get a directory of their own. */
void
trees_start(struct tree *tree, const char *name, const char *const program[])
{
	static char output[PATH_MAX + 16];
	const char *argv[32] = {built("vmtrace"), "record", "-o", output, "--"};
	size_t count = 5;

	snprintf(tree->directory, sizeof(tree->directory), "%s", scratch_file(name));
	assert_int_equal(mkdir(tree->directory, 0700), 0);
	snprintf(output, sizeof(output), "%s/t.vmt", tree->directory);
	for (size_t i = 0; program[i]; i++) {
		assert_true(count < sizeof(argv) / sizeof(argv[0]) - 1);
		argv[count++] = program[i];
	}
	/* Figures are those of the very end, also where the collector gets no CPU soon. */
	tree->count = 0;
	converse_start(&tree->talk, argv, (const char *const[]){"VMTRACE_EXIT_WAIT=60s", NULL});
	running = tree;
}

static void
kill_children(pid_t parent)
{
	char path[64], text[4096] = "";

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *file = fopen(path, "r");

	if (file) {
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
	}
	for (char *at = text; strtol(at, NULL, 10) > 0;) {
		pid_t child = (pid_t)strtol(at, &at, 10);

		kill_children(child);
		kill(child, SIGKILL);
	}
}

/* A test that fails leaves a tree that is stopped, and would stay so. */
int
trees_kill(void **state)
{
	(void)state;
	if (!running)
		return 0;
	kill_children(running->talk.pid);
	for (size_t i = 0; i < running->count; i++)
		kill(running->pids[i], SIGKILL);
	kill(running->talk.pid, SIGKILL);
	(void)trees_end(running);
	return 0;
}

/* Until it has ended: nobody may have reaped it yet. */
void
trees_wait_gone(pid_t pid)
{
	int64_t deadline = now_ms() + TREES_LIMIT_MS;
	char state = 'T';
	int parent;

	while (state != 'Z' && kill(pid, 0) == 0) {
		assert_true(now_ms() < deadline);
		poll(NULL, 0, 1);
		try_stat(pid, &state, &parent);
	}
}

void
trees_skip_without(const char *program)
{
	char at[2][64];

	snprintf(at[0], sizeof(at[0]), "/usr/bin/%s", program);
	snprintf(at[1], sizeof(at[1]), "/usr/sbin/%s", program);
	if (access(at[0], X_OK) == 0 || access(at[1], X_OK) == 0)
		return;
	print_message("skip: %s is not installed\n", program);
	skip();
}

/* The pids of a line, and their parent. */
void
trees_read_pids(struct tree *tree)
{
	char state;
	int parent;

	converse_read_line(&tree->talk);
	tree->count = 1;
	for (char *at = tree->talk.line; *at && tree->count < TREES_MOST;) {
		tree->pids[tree->count++] = (pid_t)strtol(at, &at, 10);
		while (*at && !isdigit((unsigned char)*at))
			at++;
	}
	read_stat(tree->pids[1], &state, &parent);
	tree->pids[0] = parent;
}

void
trees_stop(const struct tree *tree)
{
	int64_t deadline = now_ms() + TREES_LIMIT_MS;
	int parent;

	for (size_t i = 0; i < tree->count; i++) {
		char state = 'R';

		assert_int_equal(kill(tree->pids[i], SIGSTOP), 0);
		while (state != 'T') {
			assert_true(now_ms() < deadline);
			poll(NULL, 0, 1);
			read_stat(tree->pids[i], &state, &parent);
		}
	}
}

void
trees_go_on(const struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		assert_int_equal(kill(tree->pids[i], SIGCONT), 0);
}

/* What `vmtrace report DIRECTORY` says. */
json_t *
trees_list(const char *directory, const char *group)
{
	const char *const argv[] = {built("vmtrace"), "report",	 directory, "--format",
				    "json",	      "--group", group,	    NULL};
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s", run.err);
	json_t *root = json_loads(run.out, 0, NULL);

	assert_non_null(root);
	run_free(&run);
	return root;
}

json_t *
trees_trace_of(json_t *root, int64_t pid)
{
	json_t *trace;
	size_t i;

	json_array_foreach(member(root, "traces"), i, trace)
	{
		if (number(trace, "pid") == pid && json_is_null(member(trace, "continued")))
			return trace;
	}
	fail_msg("no trace of process %lld", (long long)pid);
	return NULL;
}

/* Has a snapshot taken of each: their traces are there, as they have all been forked long ago. */
void
trees_look(const struct tree *tree)
{
	json_t *root = NULL;
	int64_t deadline = now_ms() + TREES_LIMIT_MS;

	do {
		json_decref(root);
		assert_true(now_ms() < deadline);
		poll(NULL, 0, 10);
		root = trees_list(tree->directory, "title");
	} while (number(json_array_get(member(root, "trees"), 0), "traces") < (int64_t)tree->count);
	for (size_t i = 0; i < tree->count; i++) {
		const char *name =
		    json_string_value(member(trees_trace_of(root, tree->pids[i]), "name"));
		char path[2 * PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", tree->directory, name);
		living_snapshot(path);
	}
	json_decref(root);
}

/* The children of a process, appended to the tree; waits until there are so many. */
void
trees_find_children(struct tree *tree, pid_t parent, size_t count)
{
	int64_t deadline = now_ms() + TREES_LIMIT_MS;
	char path[64], text[1024];
	size_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	while (found != count) {
		FILE *file = fopen(path, "r");

		assert_true(now_ms() < deadline);
		assert_non_null(file);
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
		found = 0;
		for (char *at = text; found < count && strtol(at, NULL, 10) > 0; found++)
			tree->pids[1 + found] = (pid_t)strtol(at, &at, 10);
		poll(NULL, 0, 1);
	}
	tree->pids[0] = parent;
	tree->count = 1 + count;
}
