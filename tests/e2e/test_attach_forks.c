/*
 * test_attach_forks.c: are fork children of a process that is recorded while it runs recorded, and
 * left as they were?
 */
#include "tests/e2e/harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
#define SILENT 100
#define PARENT 101
#define EXECUTES 102
#define CLOSED 103
#define MOST_CHILDREN 8

#if defined(__x86_64__)

struct family {
	struct conversation program, command;
	pid_t children[MOST_CHILDREN];
	int count;
	char directory[256];
};

static void
ask(struct family *family, unsigned char byte)
{
	unsigned char answer = 0;

	assert_int_equal(write(family->program.to, &byte, 1), 1);
	assert_int_equal(read(family->program.from, &answer, 1), 1);
	assert_int_equal(answer, byte);
}

/* In the order of their births, as the kernel lists them. */
static void
read_children(struct family *family)
{
	char path[64];
	FILE *file;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)family->program.pid,
		 (int)family->program.pid);
	file = fopen(path, "re");
	assert_non_null(file);
	for (family->count = 0; family->count < MOST_CHILDREN && fscanf(file, "%d", &child) == 1;)
		family->children[family->count++] = child;
	fclose(file);
}

/* Memory with code that is no file's: the recorder's. */
static bool
has_recorder(pid_t pid)
{
	char path[64], line[512];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, " r-xp ") && strstr(line, " 00:00 0 ") && !strchr(line, '[');
	fclose(maps);
	return found;
}

static void
start(struct family *family, const char *program, const char *name)
{
	snprintf(family->directory, sizeof(family->directory), "%s", scratch_file(name));
	assert_int_equal(mkdir(family->directory, 0700), 0);
	converse_start(&family->program, (const char *const[]){built(program), NULL}, NULL);
	ask(family, PARENT);
}

static void
begin_recording(struct family *family, const char *options)
{
	char script[1024];

	snprintf(script, sizeof(script), "exec '%s' record -p %d %s -o '%s/%%p.vmt' 2>&1",
		 built("vmtrace"), (int)family->program.pid, options, family->directory);
	converse_start(&family->command, (const char *const[]){"sh", "-c", script, NULL}, NULL);
	converse_read_line(&family->command);
	assert_non_null(strstr(family->command.line, "recording process"));
}

static void
end_recording(struct family *family)
{
	assert_int_equal(kill(family->command.pid, SIGINT), 0);
	assert_int_equal(converse_end(&family->command), 0);
}

static void
end_program(struct family *family)
{
	int status = converse_end(&family->program);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static const char *
trace_of(const struct family *family, pid_t pid)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%d.vmt", family->directory, (int)pid);
	return path;
}

static void
check_growth(const struct family *family, pid_t pid, int64_t mib)
{
	json_t *read = report(trace_of(family, pid), NULL);

	check_report(read);
	assert_int_equal(number(member(read, "process"), "pid"), pid);
	assert_int_equal(site_sum(read, "mmap", "grow", "count"), mib);
	assert_int_equal(site_sum(read, "mmap", "grow", "reserved_bytes"), mib * MIB);
	json_decref(read);
}

/* Two that map, and one that does nothing. All have the recorder until it leaves. */
static void
have_traces_and_are_left(const char *program, const char *name)
{
	struct family family;
	char pid[16];
	struct run run;

	start(&family, program, name);
	begin_recording(&family, "");
	ask(&family, 3);
	ask(&family, SILENT);
	ask(&family, 5);
	read_children(&family);
	assert_int_equal(family.count, 3);
	for (int i = 0; i < 3; i++)
		assert_true(has_recorder(family.children[i]));
	ask(&family, PARENT);
	end_recording(&family);
	assert_false(has_recorder(family.program.pid));
	for (int i = 0; i < 3; i++)
		assert_false(has_recorder(family.children[i]));
	check_growth(&family, family.program.pid, 1);
	check_growth(&family, family.children[0], 3);
	check_growth(&family, family.children[2], 5);
	snprintf(pid, sizeof(pid), "%d", (int)family.children[1]);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-p", pid, "--for", "1ms",
					  "-o", trace_of(&family, 1), NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.err, "recording process"));
	run_free(&run);
	end_program(&family);
}

static void
children_have_traces_and_are_left(void **state)
{
	(void)state;
	have_traces_and_are_left("tests/target/attached_forks", "dynamic");
}

static void
children_of_a_static_program(void **state)
{
	(void)state;
	have_traces_and_are_left("tests/target/static_attached_forks", "static");
}

/* Its code is put back, too. */
static void
one_that_is_not_wanted_is_left(void **state)
{
	struct family family;

	(void)state;
	start(&family, "tests/target/attached_forks", "unwanted");
	begin_recording(&family, "--follow none");
	ask(&family, 3);
	read_children(&family);
	assert_true(has_recorder(family.children[0]));
	end_recording(&family);
	assert_false(has_recorder(family.children[0]));
	assert_int_equal(access(trace_of(&family, family.children[0]), F_OK), -1);
	assert_int_equal(access(trace_of(&family, family.program.pid), F_OK), 0);
	end_program(&family);
}

/* The recording goes on with the children when the one that was named has ended. */
static void
they_outlive_their_parent(void **state)
{
	struct family family;
	json_t *read;

	(void)state;
	start(&family, "tests/target/attached_forks", "orphans");
	begin_recording(&family, "");
	ask(&family, 3);
	ask(&family, SILENT);
	read_children(&family);
	assert_int_equal(kill(family.program.pid, SIGKILL), 0);
	(void)converse_end(&family.program);
	assert_int_equal(converse_end(&family.command), 0);
	read = report(trace_of(&family, family.children[0]), NULL);
	check_report(read);
	assert_int_equal(site_sum(read, "mmap", "grow", "count"), 4); /* the last one after that */
	json_decref(read);
}

/* What it executed has no recorder, and is not waited for. */
static void
one_that_executes_is_not_waited_for(void **state)
{
	struct family family;

	(void)state;
	start(&family, "tests/target/attached_forks", "executes");
	begin_recording(&family, "");
	ask(&family, EXECUTES);
	read_children(&family);
	assert_false(has_recorder(family.children[0]));
	end_recording(&family);
	assert_int_equal(kill(family.children[0], 0), 0);
	check_growth(&family, family.children[0], 1);
	end_program(&family);
}

#define AS_NOBODY "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"

/* It is said, and the command ends. The child goes on. */
static void
one_that_may_not_be_traced(void **state)
{
	char script[1024], expected[80];
	struct family family;

	(void)state;
	if (geteuid() != 0) {
		printf("skip: only root can become another user\n");
		skip();
	}
	snprintf(family.directory, sizeof(family.directory), "%s", scratch_file("closed"));
	assert_int_equal(mkdir(family.directory, 0700), 0);
	assert_int_equal(chmod(family.directory, 0777), 0);
	converse_start(
	    &family.program,
	    (const char *const[]){AS_NOBODY, built_for_others("tests/target/attached_forks"), NULL},
	    NULL);
	ask(&family, PARENT);
	snprintf(script, sizeof(script), "exec '%s' record -p %d -o '%s/%%p.vmt' 2>&1",
		 built_for_others("vmtrace"), (int)family.program.pid, family.directory);
	converse_start(&family.command, (const char *const[]){AS_NOBODY, "sh", "-c", script, NULL},
		       NULL);
	converse_read_line(&family.command);
	assert_non_null(strstr(family.command.line, "recording process"));
	ask(&family, CLOSED);
	read_children(&family);
	assert_int_equal(kill(family.command.pid, SIGINT), 0);
	snprintf(expected, sizeof(expected), "process %d can't be left: vmtrace may not trace it",
		 (int)family.children[0]);
	for (int i = 0; i < 3 && !strstr(family.command.line, expected); i++)
		converse_read_line(&family.command);
	assert_non_null(strstr(family.command.line, expected));
	assert_int_equal(converse_end(&family.command), 0);
	check_growth(&family, family.children[0], 1);
	end_program(&family);
}

#endif

int
main(void)
{
#if defined(__x86_64__)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(children_have_traces_and_are_left),
	    cmocka_unit_test(children_of_a_static_program),
	    cmocka_unit_test(one_that_is_not_wanted_is_left),
	    cmocka_unit_test(they_outlive_their_parent),
	    cmocka_unit_test(one_that_executes_is_not_waited_for),
	    cmocka_unit_test(one_that_may_not_be_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
