/*
 * test_attach_heap.c: are blocks of malloc recorded of a program that runs already, and is it
 * afterwards what it was?
 */
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

#define MOST_CODE 64
#define ALL_BACK 255
#define KEPT_BYTES 1000

/* Its code, as far as it has any of its own. */
struct code {
	unsigned long low, high;
	unsigned char *bytes;
};

struct codes {
	struct code all[MOST_CODE];
	size_t count;
};

static void
take_codes(struct codes *codes, pid_t pid)
{
	char path[64], line[4200];
	FILE *maps;
	int memory;

	codes->count = 0;
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	assert_true(memory >= 0 && maps != NULL);
	while (fgets(line, sizeof(line), maps)) {
		struct code *code = &codes->all[codes->count];
		char protection[8];
		size_t bytes;

		assert_int_equal(sscanf(line, "%lx-%lx %7s", &code->low, &code->high, protection),
				 3);
		if (protection[2] != 'x' || code->high > 1UL << 48)
			continue;
		bytes = code->high - code->low;
		code->bytes = malloc(bytes);
		assert_non_null(code->bytes);
		assert_int_equal(pread(memory, code->bytes, bytes, (off_t)code->low), bytes);
		assert_true(++codes->count < MOST_CODE);
	}
	fclose(maps);
	close(memory);
}

static void
free_codes(struct codes *codes)
{
	for (size_t i = 0; i < codes->count; i++)
		free(codes->all[i].bytes);
}

static const struct code *
find_code(const struct codes *codes, const struct code *wanted)
{
	for (size_t i = 0; i < codes->count; i++)
		if (codes->all[i].low == wanted->low && codes->all[i].high == wanted->high)
			return &codes->all[i];
	return NULL;
}

/* stays: mappings of the recorder's were left there. */
static void
assert_same_codes(const struct codes *before, pid_t pid, bool stays)
{
	struct codes now;

	take_codes(&now, pid);
	if (!stays)
		assert_int_equal(now.count, before->count);
	for (size_t i = 0; i < before->count; i++) {
		const struct code *code = find_code(&now, &before->all[i]);

		assert_non_null(code);
		assert_memory_equal(code->bytes, before->all[i].bytes, code->high - code->low);
	}
	free_codes(&now);
}

/* It keeps so many blocks more, or gives all of them back. */
static void
ask(struct conversation *program, unsigned char what)
{
	unsigned char answer = 0;

	assert_int_equal(write(program->to, &what, 1), 1);
	assert_int_equal(read(program->from, &answer, 1), 1);
	assert_int_equal(answer, what);
}

static void
end_program(struct conversation *program)
{
	int status = converse_end(program);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void
start_recording(struct conversation *command, pid_t pid, const char *trace, const char *mode)
{
	char script[2048];

	snprintf(script, sizeof(script), "exec '%s' record -p %d --malloc %s -o '%s' 2>&1",
		 built("vmtrace"), (int)pid, mode, trace);
	converse_start(command, (const char *const[]){"sh", "-c", script, NULL}, NULL);
	converse_read_line(command);
	if (!strstr(command->line, "functions of its malloc"))
		print_error("%s\n", command->line);
	assert_non_null(strstr(command->line, "functions of its malloc"));
}

/* Whether it says that its mappings stay: no moment came in which no thread was in the recorder. */
static bool
end_recording(struct conversation *command)
{
	size_t used = 0;
	ssize_t got;

	assert_int_equal(kill(command->pid, SIGINT), 0);
	while (used < sizeof(command->line) - 1 &&
	       (got = read(command->from, command->line + used, sizeof(command->line) - 1 - used)) >
		   0)
		used += (size_t)got;
	command->line[used] = '\0';
	assert_int_equal(converse_end(command), 0);
	return says(command->line, "unused mappings stay in it") != NULL;
}

static bool
has_spot(json_t *root, const char *words)
{
	json_t *spot;
	size_t i;

	json_array_foreach(member(member(root, "coverage"), "blind_spots"), i,
			   spot) if (strstr(json_string_value(spot), words)) return true;
	return false;
}

static const char *
library(const char *name)
{
	static char path[256];
	static const char *const places[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", places[i], name);
		if (access(path, R_OK) == 0)
			return path;
	}
	printf("skip: no %s\n", name);
	skip();
	return NULL;
}

/* Of one thread: 20 blocks before, of which nothing is known; 40 more; all given back; 10 more. */
static void
check_books(const char *const environment[])
{
	const char *const argv[] = {built("tests/target/attached_heap"), "0", NULL};
	const char *trace = scratch_file("books.vmt");
	struct conversation program, command;
	json_t *root;

	converse_start(&program, argv, environment);
	ask(&program, 20);
	start_recording(&command, program.pid, trace, "all");
	ask(&program, 40);
	ask(&program, ALL_BACK);
	ask(&program, 10);
	assert_false(end_recording(&command));
	ask(&program, 3);
	root = report(trace, NULL);
	check_report(root);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
	assert_int_equal(site_sum(root, "malloc", "(anonymous namespace)::keep", "count"), 50);
	assert_int_equal(site_sum(root, "malloc", "(anonymous namespace)::keep", "released_bytes"),
			 40 * KEPT_BYTES);
	assert_int_equal(site_sum(root, "malloc", "(anonymous namespace)::keep", "end_count"), 10);
	assert_int_equal(site_sum(root, "malloc", "(anonymous namespace)::keep", "end_bytes"),
			 10 * KEPT_BYTES);
	assert_true(has_spot(root, "Only blocks that were made since the recording began"));
	assert_true(has_spot(root, "releases of memory from before the trace began: 20"));
	assert_false(has_spot(root, "nobody saw being made"));
	json_decref(root);
	ask(&program, ALL_BACK);
	end_program(&program);
}

static void
books_of_the_c_library(void **state)
{
	(void)state;
	check_books(NULL);
}

static void
books_of_jemalloc(void **state)
{
	(void)state;
	check_books(
	    (const char *const[]){variable("LD_PRELOAD", library("libjemalloc.so.2")), NULL});
}

static void
books_of_tcmalloc(void **state)
{
	(void)state;
	check_books((const char *const[]){
	    variable("LD_PRELOAD", library("libtcmalloc_minimal.so.4")), NULL});
}

/* An operator new of the allocator's own: as many blocks as of malloc, which come and go in pairs,
 * but for those that were in the making when it began and when it was left. */
static void
operator_new_of_jemalloc(void **state)
{
	const char *const argv[] = {built("tests/target/attached_heap"), "3", NULL};
	const char *trace = scratch_file("new.vmt");
	struct conversation program, command;
	int64_t made, known, lost;
	json_t *root;

	(void)state;
	converse_start(
	    &program, argv,
	    (const char *const[]){variable("LD_PRELOAD", library("libjemalloc.so.2")), NULL});
	ask(&program, 1);
	start_recording(&command, program.pid, trace, "all");
	ask(&program, 100);
	(void)end_recording(&command);
	root = report(trace, NULL);
	check_report(root);
	lost = number(member(root, "loss"), "events_dropped") +
	       number(member(root, "loss"), "events_overwritten");
	made = site_sum(root, "operator new", "(anonymous namespace)::churn_once", "count");
	known = site_sum(root, "malloc", "(anonymous namespace)::churn_once", "count");
	assert_true(known > 0 && made > 0);
	assert_in_range(made, known > 3 + lost ? known - 3 - lost : 0, known + 3 + lost);
	if (lost == 0)
		assert_in_range(site_sum(root, "operator new", "(anonymous namespace)::churn_once",
					 "end_count"),
				0, 3);
	assert_true(has_spot(root, "functions of an allocator"));
	json_decref(root);
	end_program(&program);
}

/* A share of the blocks, and that is said. */
static void
a_sample(void **state)
{
	const char *const argv[] = {built("tests/target/attached_heap"), "0", NULL};
	const char *trace = scratch_file("sampled.vmt");
	struct conversation program, command;
	json_t *root;

	(void)state;
	converse_start(&program, argv, NULL);
	ask(&program, 1);
	start_recording(&command, program.pid, trace, "sampled:2000");
	for (int i = 0; i < 20; i++)
		ask(&program, 200);
	assert_false(end_recording(&command));
	root = report(trace, NULL);
	check_report(root);
	/* Of 4,000 blocks about 1,570 are sampled: ten standard deviations. */
	assert_in_range(site_sum(root, "malloc", "(anonymous namespace)::keep", "end_bytes"),
			4000 * KEPT_BYTES * 3 / 4, 4000 * KEPT_BYTES * 5 / 4);
	assert_true(has_spot(root, "were sampled: their figures are unbiased estimates"));
	json_decref(root);
	end_program(&program);
}

/* Threads check what they wrote, in whatever moment it is begun and left. */
static void
check_again_and_again(const char *how)
{
	const char *const argv[] = {built("tests/target/attached_heap"), "4", how, NULL};
	const char *trace = scratch_file("again.vmt");
	const int rounds = (int)soak_count(3, 250);
	struct conversation program, command;
	struct codes before;
	bool stays = false;
	int left = 0;

	converse_start(&program, argv, NULL);
	ask(&program, 1);
	take_codes(&before, program.pid);
	for (int i = 0; i < rounds; i++) {
		start_recording(&command, program.pid, trace, i % 2 ? "sampled" : "all");
		ask(&program, 7);
		left += !end_recording(&command);
		stays |= left != i + 1;
		ask(&program, i % 3 ? 2 : ALL_BACK);
		assert_same_codes(&before, program.pid, stays);
		unlink(trace);
	}
	if (rounds > 3)
		print_message("%s: nothing stayed %d times of %d\n", how ? how : "threads", left,
			      rounds);
	free_codes(&before);
	end_program(&program);
}

static void
threads_are_unharmed(void **state)
{
	(void)state;
	check_again_and_again(NULL);
}

static void
those_interrupted_on_other_stacks_are(void **state)
{
	(void)state;
	check_again_and_again("handler");
}

static void
those_that_come_and_go_are(void **state)
{
	(void)state;
	check_again_and_again("short");
}

/* It answers whether a register was broken so far. */
static void
do_rounds(struct conversation *program, unsigned char rounds)
{
	unsigned char broken = 2;

	assert_int_equal(write(program->to, &rounds, 1), 1);
	assert_int_equal(read(program->from, &broken, 1), 1);
	assert_int_equal(broken, 0);
}

/* Its allocator and the calls of it are of one piece: the caller goes by which registers it saw
 * the allocator use, whatever the ABI lets a function change. */
static void
registers_that_callers_keep_are_unharmed(void **state)
{
	const char *const argv[] = {built("tests/target/ipa_registers"), "ask", NULL};
	static const char *const modes[] = {"all", "sampled:4KiB"};
	const char *trace = scratch_file("registers.vmt");

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct conversation program, command;
		json_t *root;

		converse_start(&program, argv, NULL);
		do_rounds(&program, 1);
		start_recording(&command, program.pid, trace, modes[i]);
		do_rounds(&program, 2);
		(void)end_recording(&command);
		root = report(trace, NULL);
		if (i == 0)
			assert_int_equal(site_sum(root, "malloc", "call_malloc", "count"), 2000);
		assert_true(site_sum(root, "malloc", "call_malloc", "count") > 0);
		json_decref(root);
		end_program(&program);
		unlink(trace);
	}
}

static int
led_functions(const struct conversation *command)
{
	const char *at = strstr(command->line, " functions of its malloc");

	assert_non_null(at);
	while (at > command->line && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return atoi(at);
}

/* A library whose functions are led is unloaded while it is recorded. Nothing of it is put back,
 * and all the rest is: the program can be recorded anew. */
static void
check_unloaded(const char *with)
{
	const char *const argv[] = {built("tests/target/attached_unload"), with, NULL};
	const char *trace = scratch_file("unload.vmt");
	struct conversation program, command;
	struct codes before;
	int led;

	converse_start(&program, argv, NULL);
	ask(&program, 1);
	start_recording(&command, program.pid, trace, "all");
	led = led_functions(&command);
	ask(&program, 1);
	ask(&program, 2);
	ask(&program, 3);
	assert_false(end_recording(&command));
	assert_null(says(command.line, "can't be left"));
	ask(&program, 3);
	unlink(trace);
	take_codes(&before, program.pid);
	start_recording(&command, program.pid, trace, "all");
	assert_int_equal(led_functions(&command), led - 2); /* its malloc and free */
	ask(&program, 3);
	assert_false(end_recording(&command));
	assert_same_codes(&before, program.pid, false);
	ask(&program, 3);
	free_codes(&before);
	unlink(trace);
	end_program(&program);
}

static void
an_unloaded_allocator_is_no_obstacle(void **state)
{
	(void)state;
	check_unloaded(NULL);
}

static void
what_lies_in_its_place_is_unharmed(void **state)
{
	(void)state;
	check_unloaded("private");
}

static void
a_file_in_its_place_is_unharmed(void **state)
{
	const char *path = scratch_file("data.bin");
	unsigned char content[4096];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(content)), 0);
	check_unloaded(path);
	assert_int_equal(pread(fd, content, sizeof(content), 0), sizeof(content));
	for (size_t i = 0; i < sizeof(content); i++)
		assert_int_equal(content[i], 0x5a);
	close(fd);
	unlink(path);
}

/* It may be large, and of another user's: also where it looks like a library. */
static void
a_file_that_is_data_is_not_opened(void **state)
{
	const char *data = scratch_file("data");
	const char *argv[] = {built("tests/target/attached_unload"), "private", data, NULL};
	const char *trace = scratch_file("data.vmt");
	struct conversation program, command;
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char events[4096];

	(void)state;
	shell("cp '%s' '%s'", built("tests/target/plugin_bare_allocator"), data);
	converse_start(&program, argv, NULL);
	ask(&program, 1);
	assert_true(inotify_add_watch(watch, data, IN_OPEN) >= 0);
	start_recording(&command, program.pid, trace, "all");
	ask(&program, 1);
	assert_false(end_recording(&command));
	assert_int_equal(read(watch, events, sizeof(events)), -1);
	assert_int_equal(errno, EAGAIN);
	shell("test -r '%s' && head -c 1 '%s' >/dev/null", data, data);
	assert_true(read(watch, events, sizeof(events)) > 0); /* it would have been seen */
	close(watch);
	unlink(data);
	unlink(trace);
	end_program(&program);
}

#endif

int
main(void)
{
#if defined(__x86_64__)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(books_of_the_c_library),
	    cmocka_unit_test(books_of_jemalloc),
	    cmocka_unit_test(books_of_tcmalloc),
	    cmocka_unit_test(operator_new_of_jemalloc),
	    cmocka_unit_test(a_sample),
	    cmocka_unit_test(registers_that_callers_keep_are_unharmed),
	    cmocka_unit_test(threads_are_unharmed),
	    cmocka_unit_test(those_interrupted_on_other_stacks_are),
	    cmocka_unit_test(those_that_come_and_go_are),
	    cmocka_unit_test(an_unloaded_allocator_is_no_obstacle),
	    cmocka_unit_test(what_lies_in_its_place_is_unharmed),
	    cmocka_unit_test(a_file_in_its_place_is_unharmed),
	    cmocka_unit_test(a_file_that_is_data_is_not_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
