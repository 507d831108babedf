/*
 * test_privacy.c: what does a trace hold that is nobody's business?
 *
 * A secret in the environment, in blocks, mappings and on stacks, copied ones as well, is in no
 * file that a recording leaves, in any mode; not even eight bytes of it, as many as a frame has.
 * The command line is, as the kernel shows it, unless it is to be left out. Files are the user's
 * alone, and nothing is recorded of a program with raised privileges.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/living.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "xK7#qopensesame!Zr"
#define WINDOW_BYTES 8u

static char directory[4096];

/* A fresh directory for what one recording leaves. */
static const char *
make_directory(void)
{
	static unsigned number;
	char name[32];

	snprintf(name, sizeof(name), "privacy-%u", number++);
	snprintf(directory, sizeof(directory), "%s", scratch_file(name));
	assert_int_equal(mkdir(directory, 0700), 0);
	return directory;
}

static bool
file_has_secret(int fd, size_t length)
{
	const char *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
	bool found = false;

	assert_ptr_not_equal(bytes, MAP_FAILED);
	for (size_t at = 0; at + WINDOW_BYTES < sizeof(SECRET); at++)
		found = found || memmem(bytes, length, &SECRET[at], WINDOW_BYTES) != NULL;
	munmap((void *)(uintptr_t)bytes, length);
	return found;
}

/* It may not even have begun. */
static void
wait_for_collector(void)
{
	glob_t traces;
	char pattern[4400];

	snprintf(pattern, sizeof(pattern), "%s/*.vmt", directory);
	if (glob(pattern, 0, NULL, &traces) != 0)
		return;
	for (size_t i = 0; i < traces.gl_pathc; i++)
		living_wait_end(traces.gl_pathv[i]);
	globfree(&traces);
	living_wait_gone(directory);
}

/* Files of the directory that hold a part of the secret; all are of mode 0600. */
static unsigned
count_with_secret(unsigned *files)
{
	unsigned found = 0;
	struct dirent *entry;
	DIR *listing;

	wait_for_collector();
	listing = opendir(directory);
	assert_non_null(listing);
	*files = 0;
	while ((entry = readdir(listing)) != NULL) {
		struct stat status;
		int fd;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		fd = openat(dirfd(listing), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &status), 0);
		assert_int_equal(status.st_mode, S_IFREG | 0600);
		assert_true(status.st_size > 0);
		(*files)++;
		found += file_has_secret(fd, (size_t)status.st_size);
		close(fd);
	}
	closedir(listing);
	return found;
}

static const char *const modes[] = {"off", "sampled:64", "all"};

/* The bare library: no chunk is compressed, so what is in the file can be seen in it. */
static void
run_bare(const char *malloc_mode, const char *cmdline, const char *argument)
{
	char output[4200];
	struct run run;

	snprintf(output, sizeof(output), "%s/%%p.vmt", make_directory());
	run_program(&run, (const char *const[]){built("tests/target/secretive"), argument, NULL},
		    (const char *const[]){
			variable("LD_PRELOAD", built("libvmtrace.so")),
			variable("VMTRACE_OUTPUT", output), variable("VMTRACE_MALLOC", malloc_mode),
			variable("VMTRACE_CMDLINE", cmdline), variable("SECRET", SECRET), NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

static void
test_memory_and_environment_are_not_recorded(void **state)
{
	unsigned files;

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		run_bare(modes[i], "1", NULL);
		assert_int_equal(count_with_secret(&files), 0);
		assert_int_equal(files, 2); /* the program and its child */
	}
}

static void
test_the_command_line_can_be_left_out(void **state)
{
	unsigned files;
	unsigned found;

	(void)state;
	run_bare("all", "1", SECRET);
	found = count_with_secret(&files);
	assert_int_equal(found, files); /* the search finds what is there */
	run_bare("all", "0", SECRET);
	assert_int_equal(count_with_secret(&files), 0);
	assert_int_equal(files, 2);
}

/* The environment is passed on by the command itself, which also sees the command line. */
static void
test_record_leaves_it_out_too(void **state)
{
	char trace[4200];
	unsigned files;
	struct run run;

	(void)state;
	snprintf(trace, sizeof(trace), "%s/t.vmt", make_directory());
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-o", trace, "--cmdline",
					  "off", "--", built("tests/target/secretive"), SECRET,
					  NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	assert_null(strstr(run.err, SECRET));
	run_free(&run);
	assert_int_equal(count_with_secret(&files), 0);
	json_t *root = report(trace, NULL);

	assert_string_equal(json_string_value(member(member(root, "process"), "cmdline")), "");
	json_decref(root);
	run_program(&run, (const char *const[]){built("vmtrace"), "report", trace, NULL}, NULL);
	assert_non_null(strstr(run.out, "secretive (process")); /* the program's path instead */
	run_free(&run);
}

/* Go keeps copies of its environment in its heap, and its counters are raw bytes of the process. */
static void
test_go_counters_hold_no_secret(void **state)
{
	char trace[4200];
	unsigned files;
	struct run run;

	(void)state;
	go_need("1.26");
	snprintf(trace, sizeof(trace), "%s/%%p.vmt", make_directory());
	go_run(&run, trace, go_program("1.26", "service", "", NULL), NULL,
	       variable("SECRET", SECRET));
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(count_with_secret(&files), 0);
	assert_true(files > 0);
}

/* With each page fault the collector gets a piece of the stack. */
static void
test_copied_stacks_leave_nothing(void **state)
{
	static struct conversation talk;
	char trace[4200];
	unsigned files;

	(void)state;
	snprintf(trace, sizeof(trace), "%s/t.vmt", make_directory());
	converse_start(
	    &talk, (const char *const[]){built("tests/target/touch_bare"), "secret", "32", NULL},
	    (const char *const[]){variable("LD_PRELOAD", built("libvmtrace.so")),
				  variable("VMTRACE_OUTPUT", trace), variable("SECRET", SECRET),
				  "VMTRACE_TOUCH=1", NULL});
	converse_read_line(&talk);
	living_snapshot(trace);
	assert_int_equal(write(talk.to, "\n", 1), 1);
	converse_read_line(&talk);
	assert_int_equal(converse_end(&talk), 0);
	assert_int_equal(count_with_secret(&files), 0);
	assert_int_equal(files, 1);
	json_t *losses = dump(trace, "loss");
	json_t *touches = dump(trace, "touch");

	if (json_object_get(json_array_get(losses, 0), "touches_refused") == NULL)
		assert_true(json_array_size(touches) >= 8);
	json_decref(losses);
	json_decref(touches);
}

static void
run_shell(const char *script, const char *place, const char *file)
{
	struct run run;

	run_program(&run, (const char *const[]){"/bin/sh", "-ec", script, "sh", place, file, NULL},
		    NULL);
	if (run.exit_status != 0)
		fail_msg("%s", run.err);
	run_free(&run);
}

/* Traces of a program below that place. */
static unsigned
count_raised(const char *place, const char *script)
{
	unsigned traces;

	run_shell(script, place, "");
	snprintf(directory, sizeof(directory), "%s/out", place);
	assert_int_equal(count_with_secret(&traces), 0);
	return traces;
}

/* ld.so leaves an LD_PRELOAD with slashes out; a library that a program asks for itself is loaded
 * into it all the same, and must notice. Without the bit it records. */
static void
test_raised_privileges_are_not_recorded(void **state)
{
	static const char run_it[] = "cd $1/out && VMTRACE_OUTPUT=$1/out/%p.vmt "
				     "setpriv --reuid=65534 --clear-groups $1/raised";
	char place[] = "/tmp/vmtrace-privacy-XXXXXX";
	char again[sizeof(run_it) + 64];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(place));
	run_shell(
	    "place=$1; chmod 755 $place; mkdir -m 777 $place/out; chmod 777 $place/out; "
	    "cp $2 $place/libvmtrace.so; echo 'int main(void) { return 0; }' >$place/raised.c; "
	    "cc -o $place/raised $place/raised.c -Wl,--no-as-needed $place/libvmtrace.so "
	    "-Wl,-rpath,$place; chmod 755 $place/libvmtrace.so; chmod 4755 $place/raised",
	    place, built("libvmtrace.so"));
	assert_int_equal(count_raised(place, run_it), 0);
	snprintf(again, sizeof(again), "chmod 755 $1/raised; %s", run_it);
	assert_int_equal(count_raised(place, again), 1);
	run_shell("rm -rf $1", place, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_memory_and_environment_are_not_recorded),
	    cmocka_unit_test(test_the_command_line_can_be_left_out),
	    cmocka_unit_test(test_record_leaves_it_out_too),
	    cmocka_unit_test(test_go_counters_hold_no_secret),
	    cmocka_unit_test(test_copied_stacks_leave_nothing),
	    cmocka_unit_test(test_raised_privileges_are_not_recorded),
	};

	return cmocka_run_group_tests_name("privacy", tests, NULL, NULL);
}
