/*
 * test_attach.c: are the calls of a program recorded that runs already, and is it afterwards what
 * it was? Also where the command is killed in the middle?
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"
#include "tests/soak.h"
#include "tests/unit/lives.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ptrace.h>

#define MIB (INT64_C(1) << 20)
#define FILE_BYTES 65536

#if defined(__x86_64__)

/* One mapping that the program has of a file, and its bytes then. */
struct code {
	unsigned long low, high;
	unsigned char *bytes;
};

static void
write_path(char *path, size_t room, pid_t pid, const char *name)
{
	snprintf(path, room, "/proc/%d/%s", (int)pid, name);
}

/* A file of /proc, whole. Freed by the caller. */
static char *
read_whole(pid_t pid, const char *name)
{
	char path[64];
	char *text = calloc(1, FILE_BYTES + 1);
	size_t used = 0;
	ssize_t got;
	int fd;

	write_path(path, sizeof(path), pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && text != NULL);
	while (used < FILE_BYTES && (got = read(fd, text + used, FILE_BYTES - used)) > 0)
		used += (size_t)got;
	close(fd);
	return text;
}

/* Lines of /proc/PID/status that say what a process is, and not how much it has or did. */
static void
copy_lasting(char *to, const char *status)
{
	static const char *const keys[] = {
	    "TracerPid:", "FDSize:", "Threads:", "SigPnd:",	"ShdPnd:",  "SigBlk:",
	    "SigIgn:",	  "SigCgt:", "CapEff:",	 "NoNewPrivs:", "Seccomp:", "Cpus_allowed:"};

	*to = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *line = strstr(status, keys[i]);

		if (line)
			strncat(to, line, strcspn(line, "\n") + 1);
	}
}

static unsigned
count_descriptors(pid_t pid)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++) {
		char path[64], name[32];

		snprintf(name, sizeof(name), "fd/%d", fd);
		write_path(path, sizeof(path), pid, name);
		count += access(path, F_OK) == 0;
	}
	return count;
}

/* All that /proc tells of a program that stands still, and its code. */
struct shape {
	char status[2048];
	unsigned descriptors;
	char *maps;
	struct code code[64];
	size_t codes;
};

static unsigned char *
read_memory(pid_t pid, unsigned long low, unsigned long high)
{
	unsigned char *bytes = malloc(high - low);
	char path[64];
	int fd;

	write_path(path, sizeof(path), pid, "mem");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && bytes != NULL);
	assert_int_equal(pread(fd, bytes, high - low, (off_t)low), high - low);
	close(fd);
	return bytes;
}

static void
take_shape(struct shape *shape, pid_t pid)
{
	char *status = read_whole(pid, "status");

	*shape = (struct shape){.descriptors = count_descriptors(pid)};
	copy_lasting(shape->status, status);
	free(status);
	shape->maps = read_whole(pid, "maps");
	for (const char *line = shape->maps; *line; line = strchr(line, '\n') + 1) {
		struct code *code = &shape->code[shape->codes];
		char protection[8];

		assert_int_equal(sscanf(line, "%lx-%lx %7s", &code->low, &code->high, protection),
				 3);
		assert_false(protection[1] == 'w' && protection[2] == 'x');
		if (protection[2] != 'x' || code->high > 1UL << 48)
			continue;
		code->bytes = read_memory(pid, code->low, code->high);
		assert_true(++shape->codes < 64);
	}
}

static void
free_shape(struct shape *shape)
{
	for (size_t i = 0; i < shape->codes; i++)
		free(shape->code[i].bytes);
	free(shape->maps);
}

static const struct code *
find_code(const struct shape *shape, const struct code *wanted)
{
	for (size_t i = 0; i < shape->codes; i++)
		if (shape->code[i].low == wanted->low && shape->code[i].high == wanted->high)
			return &shape->code[i];
	return NULL;
}

/* stays: the recorder's own mappings were left there. */
static void
assert_same_shape(const struct shape *before, const struct shape *after, bool stays)
{
	assert_string_equal(after->status, before->status);
	assert_int_equal(after->descriptors, before->descriptors);
	if (!stays)
		assert_int_equal(after->codes, before->codes);
	for (size_t i = 0; i < before->codes; i++) {
		const struct code *code = &before->code[i];
		const struct code *now = find_code(after, code);

		assert_non_null(now);
		assert_memory_equal(now->bytes, code->bytes, code->high - code->low);
	}
}

/* ---- a program that grows at our word ---- */

static void
grow(const struct conversation *program, unsigned char mib)
{
	unsigned char answer = 0;

	assert_int_equal(write(program->to, &mib, 1), 1);
	assert_int_equal(read(program->from, &answer, 1), 1);
	assert_int_equal(answer, mib);
}

static void
end_program(struct conversation *program)
{
	int status = converse_end(program);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* Built by a compiler with its flags; skips the test where that can't be. */
static const char *
build_target(const char *compiler, const char *flag)
{
	const char *program = scratch_file("attached");
	const char *const argv[] = {compiler,	flag, "-O1",   "-g",
				    "-pthread", "-o", program, "tests/target/attached.c",
				    NULL};
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0) {
		printf("skip: %s %s does not link it: %.200s\n", compiler, flag, run.err);
		run_free(&run);
		skip();
	}
	run_free(&run);
	return program;
}

/* `vmtrace record -p`, which has said that it records when this returns. */
static void
start_recording_by(const char *script, struct conversation *talk, pid_t pid, const char *trace)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", (int)pid);
	converse_start(
	    talk, (const char *const[]){"sh", "-c", script, built("vmtrace"), number, trace, NULL},
	    NULL);
	converse_read_line(talk);
	if (!strstr(talk->line, "recording process"))
		print_error("%s\n", talk->line);
	assert_non_null(strstr(talk->line, "recording process"));
}

static void
start_recording(struct conversation *talk, pid_t pid, const char *trace)
{
	start_recording_by("exec \"$0\" record -p $1 -o \"$2\" 2>&1", talk, pid, trace);
}

/* Whether it says that its mappings stay: no moment came in which no thread was in the recorder. */
static bool
end_recording(struct conversation *talk)
{
	size_t used = 0;
	ssize_t got;

	assert_int_equal(kill(talk->pid, SIGINT), 0);
	while (used < sizeof(talk->line) - 1 &&
	       (got = read(talk->from, talk->line + used, sizeof(talk->line) - 1 - used)) > 0)
		used += (size_t)got;
	talk->line[used] = '\0';
	assert_int_equal(converse_end(talk), 0);
	return says(talk->line, "unused mappings stay in it") != NULL;
}

static const char *
word(json_t *report, const char *key)
{
	return json_string_value(member(member(report, "process"), key));
}

/* What the collector could not take on a loaded machine is counted. */
static void
check_site(json_t *read, const char *function, int64_t meanwhile, int64_t dropped)
{
	int64_t count = site_sum(read, "mmap", function, "count");

	assert_true(count <= meanwhile && count + dropped >= meanwhile);
	assert_int_equal(site_sum(read, "mmap", function, "reserved_bytes"), count * MIB);
	if (dropped == 0)
		assert_in_range(site_sum(read, "mmap", function, "committed_bytes"),
				meanwhile * MIB, meanwhile * MIB + 2 * MIB);
}

/* What it mapped meanwhile, by call site, and no more; what it had is a class of its own. */
static void
check_growth(const char *trace, const char *function, int64_t earlier, int64_t meanwhile)
{
	json_t *read = report(trace, (const char *const[]){"--at", "end", NULL});

	check_report(read);
	assert_string_equal(word(read, "end"), "stopped");
	check_site(read, function, meanwhile, number(member(read, "loss"), "events_dropped"));
	assert_true(class_committed(read, "anonymous memory") >= earlier * MIB);
	json_decref(read);
}

static void
check_attach_to(const char *const argv[], const char *function)
{
	const char *trace = scratch_file("attached.vmt");
	struct conversation program, talk;
	struct shape before, after;
	bool stays = false;

	converse_start(&program, argv, NULL);
	grow(&program, 5);
	take_shape(&before, program.pid);
	for (int i = 0; i < 2; i++) {
		start_recording(&talk, program.pid, trace);
		grow(&program, 7);
		stays |= end_recording(&talk);
		check_growth(trace, function, 5, 7);
		take_shape(&after, program.pid);
		assert_same_shape(&before, &after, stays);
		free_shape(&after);
	}
	grow(&program, 3);
	free_shape(&before);
	end_program(&program);
}

static void
check_attach(const char *path, const char *threads, const char *function)
{
	check_attach_to((const char *const[]){path, threads, NULL}, function);
}

static void
a_dynamic_program(void **state)
{
	(void)state;
	check_attach(built("tests/target/attached"), "0", "grow");
}

static void
a_dynamic_program_with_threads(void **state)
{
	(void)state;
	check_attach(built("tests/target/attached"), "3", "grow");
}

/* As a Go program has it since 1.23. */
static void
one_with_nothing_free_below_its_libraries(void **state)
{
	(void)state;
	check_attach_to((const char *const[]){built("tests/target/attached"), "1", "below", NULL},
			"grow");
}

/* As a shell's script starts it with "&": Ctrl-C is not for it. */
static void
by_a_command_in_the_background(void **state)
{
	const char *const argv[] = {built("tests/target/attached"), NULL};
	struct conversation program, talk;

	(void)state;
	converse_start(&program, argv, NULL);
	grow(&program, 1);
	start_recording_by("trap '' INT; exec \"$0\" record -p $1 -o \"$2\" 2>&1", &talk,
			   program.pid, scratch_file("background.vmt"));
	assert_non_null(strstr(talk.line, "; SIGTERM ends it"));
	assert_int_equal(kill(talk.pid, SIGINT), 0);
	assert_int_equal(kill(talk.pid, SIGTERM), 0);
	assert_int_equal(converse_end(&talk), 0);
	end_program(&program);
}

static bool
tells(json_t *lines, const char *words)
{
	json_t *line;
	size_t i;

	json_array_foreach(lines, i, line) if (strstr(json_string_value(line), words)) return true;
	return false;
}

/* A file near which nothing is free is left as it is, and the report tells. */
static void
one_with_nothing_free_around_its_libraries(void **state)
{
	const char *trace = scratch_file("around.vmt");
	const char *const argv[] = {built("tests/target/attached"), "0", "around", NULL};
	struct conversation program, talk;
	json_t *read;

	(void)state;
	converse_start(&program, argv, NULL);
	grow(&program, 5);
	start_recording(&talk, program.pid, trace);
	assert_non_null(strstr(talk.line, ": 1 system calls in its code, but not "));
	grow(&program, 7);
	end_recording(&talk);
	check_growth(trace, "grow", 5, 7);
	read = report(trace, NULL);
	assert_true(tells(member(member(read, "coverage"), "blind_spots"),
			  "could not be led to the recorder"));
	json_decref(read);
	end_program(&program);
}

static void
a_static_program_of_glibc(void **state)
{
	(void)state;
	check_attach(build_target("gcc", "-static"), "2", "grow");
}

static void
a_static_program_of_musl(void **state)
{
	(void)state;
	check_attach(build_target("musl-gcc", "-static"), "0", "__mmap");
}

/* Nobody saw where the stack of a thread begins that was there before. */
static void
one_whose_thread_has_little_stack_left(void **state)
{
	const char *trace = scratch_file("guardless.vmt");
	const char *const argv[] = {built("tests/target/static_guardless_stack"), "waits", NULL};
	struct conversation program, talk;
	json_t *read;

	(void)state;
	converse_start(&program, argv, NULL);
	converse_read_line(&program);
	start_recording(&talk, program.pid, trace);
	assert_true(dprintf(program.to, "go on\n") > 0);
	converse_read_line(&program);
	assert_string_equal(program.line, "ok");
	assert_int_equal(converse_end(&program), 0);
	assert_int_equal(converse_end(&talk), 0);
	read = report(trace, NULL);
	assert_non_null(find_site(read, "mmap", "map_low", 20));
	json_decref(read);
}

/* A Go program grows meanwhile, and ends by itself. */
static void
check_go(const char *path)
{
	const char *trace = scratch_file("go.vmt");
	const char *const argv[] = {path, "wait", NULL};
	struct conversation program, talk;
	json_t *read;

	converse_start(&program, argv, NULL);
	converse_read_line(&program);
	start_recording(&talk, program.pid, trace);
	assert_true(dprintf(program.to, "go on\n") > 0);
	converse_read_line(&program);
	assert_string_equal(program.line, "holds 24");
	assert_int_equal(converse_end(&program), 0);
	assert_int_equal(converse_end(&talk), 0);
	read = report(trace, NULL);
	check_report(read);
	assert_string_equal(word(read, "recorded"), "attached");
	assert_non_null(find_site(read, "mmap", "main.grow", 40));
	json_decref(read);
}

static void
a_go_program_of_an_old_version(void **state)
{
	(void)state;
	go_need("1.19");
	check_go(go_program_without_cgo("1.19", "alone", "", NULL));
}

static void
a_go_program_of_a_new_version(void **state)
{
	(void)state;
	go_need("1.26");
	check_go(go_program_without_cgo("1.26", "alone", "", NULL));
}

static void
a_go_program_with_cgo(void **state)
{
	(void)state;
	go_need("1.26");
	check_go(go_program("1.26", "alone", "cgo", NULL));
}

/* It is led to no C library, but has a loader with nothing free below. */
static void
a_go_program_at_any_address(void **state)
{
	(void)state;
	go_need("1.26");
	check_go(go_program_without_cgo("1.26", "alone", "pie",
					(const char *const[]){"-buildmode=pie", NULL}));
}

/* ---- where it can't be ---- */

/* It is watched instead, and a line says why. */
static void
expect_watched(pid_t pid, const char *why)
{
	const char *trace = scratch_file("watched.vmt");
	char number[16];
	struct run run;
	json_t *read;

	snprintf(number, sizeof(number), "%d", (int)pid);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-p", number, "--for", "20ms",
					  "-o", trace, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	if (!says(run.err, why))
		print_error("%s: %s\n", why, run.err);
	assert_non_null(says(run.err, why));
	run_free(&run);
	read = report(trace, NULL);
	assert_string_equal(word(read, "recorded"), "watched");
	json_decref(read);
}

static void
one_that_is_traced_already(void **state)
{
	const struct life *life = &lives[0];
	pid_t child = life_start(life);
	char why[64];

	(void)state;
	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	snprintf(why, sizeof(why), "process %d traces it", (int)getpid());
	expect_watched(child, why);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, child, NULL, NULL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
	assert_int_equal(life_end(child), 0);
}

static int
live_behind_a_filter(void)
{
	struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
	const struct sock_fprog filter = {1, &allow};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
		return 3;
	return life_read();
}

static void
one_behind_a_filter(void **state)
{
	const struct life life = {"filter", live_behind_a_filter, LIFE_PLAIN};
	pid_t child = life_start(&life);
	bool is_filtered = false;

	(void)state;
	for (int i = 0; !is_filtered && i < 20000; i++) {
		char *status = read_whole(child, "status");

		is_filtered = strstr(status, "Seccomp:\t2") != NULL;
		free(status);
		usleep(1000);
	}
	assert_true(is_filtered);
	expect_watched(child, "a filter of system calls (seccomp)");
	assert_int_equal(life_end(child), 0);
}

static void
one_with_the_library(void **state)
{
	const char *const argv[] = {built("tests/target/attached"), NULL};
	struct conversation program;

	(void)state;
	converse_start(&program, argv, preloaded(scratch_file("preloaded.vmt")));
	grow(&program, 1);
	expect_watched(program.pid, "has loaded libvmtrace.so already");
	end_program(&program);
}

/* Its calls go on through the recorder, of which nobody may take the place. */
static void
one_whose_vmtrace_was_killed(void **state)
{
	const char *const argv[] = {built("tests/target/attached"), NULL};
	const char *trace = scratch_file("left.vmt");
	struct conversation program, talk;

	(void)state;
	converse_start(&program, argv, NULL);
	grow(&program, 1);
	start_recording(&talk, program.pid, trace);
	expect_watched(program.pid, "another vmtrace records it");
	assert_int_equal(kill(talk.pid, SIGKILL), 0);
	/* It may still be on its way out. */
	expect_watched(program.pid, "the recorder of a vmtrace that was killed is still in it");
	(void)converse_end(&talk);
	grow(&program, 1);
	expect_watched(program.pid, "the recorder of a vmtrace that was killed is still in it");
	unlink(trace);
	expect_watched(program.pid, "the recorder of a vmtrace that was killed is still in it");
	grow(&program, 1);
	end_program(&program);
}

static pid_t
first_child_of(pid_t parent)
{
	char path[64];
	FILE *file;
	int child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &child), 1);
	fclose(file);
	return child;
}

/* It has its parent's code and mappings, and makes no call that would begin a trace. */
static void
one_that_was_forked_while_its_parent_was_recorded(void **state)
{
	static const char why[] = "it was forked while its parent was recorded";
	const char *const argv[] = {built("tests/target/attached_forks"), NULL};
	struct conversation program, talk;
	pid_t child;

	(void)state;
	converse_start(&program, argv, NULL);
	grow(&program, 101); /* it maps a MiB */
	start_recording(&talk, program.pid, scratch_file("parent.vmt"));
	grow(&program, 100); /* a child that does nothing */
	child = first_child_of(program.pid);
	expect_watched(child, why);
	assert_int_equal(kill(talk.pid, SIGKILL), 0);
	(void)converse_end(&talk);
	expect_watched(child, why);
	end_program(&program);
}

/* And doctor does not promise it. */
static void
one_with_nothing_free_around_all_of_its_code(void **state)
{
	static const char why[] = "no memory is free within 2 GiB of its code";
	const char *path = build_target("gcc", "-static-pie");
	struct conversation program;
	char number[16];
	struct run run;

	(void)state;
	converse_start(&program, (const char *const[]){path, "0", "around", NULL}, NULL);
	grow(&program, 1);
	expect_watched(program.pid, why);
	snprintf(number, sizeof(number), "%d", (int)program.pid);
	run_program(&run, (const char *const[]){built("vmtrace"), "doctor", number, NULL}, NULL);
	assert_int_equal(run.exit_status, 0);
	assert_non_null(says(run.out, why));
	assert_non_null(says(run.out, "Can be recorded after a restart."));
	run_free(&run);
	grow(&program, 1);
	end_program(&program);
}

/* ---- whatever it is doing ---- */

/* Whether it was recorded. */
static bool
run_command(pid_t pid)
{
	bool recorded;
	char number[16];
	struct run run;

	snprintf(number, sizeof(number), "%d", (int)pid);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "record", "-p", number, "--for", "20ms",
					  "-o", scratch_file("life.vmt"), NULL},
		    NULL);
	recorded = says(run.err, "recording process") != NULL;
	if (!recorded)
		print_message("%s", run.err);
	run_free(&run);
	return recorded;
}

static void
assert_unharmed(const struct life *life, pid_t child, long step)
{
	int status = life_end(child);

	/* Nobody was left to make it again. */
	if (step != 0 && life->kind == LIFE_ENDS_AT_A_STOP && WIFEXITED(status) &&
	    WEXITSTATUS(status) == EINTR)
		return;
	if (status != 0)
		print_error("%s, step %ld: status %x\n", life->name, step, (unsigned)status);
	assert_int_equal(status, 0);
}

static void
whatever_it_does_goes_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < LIVES; i++) {
		pid_t child = life_start(&lives[i]);

		bool recorded = run_command(child);

		assert_unharmed(&lives[i], child, 0);
		/* A fork child may be in the way each time on a loaded machine. */
		if (lives[i].kind != LIFE_CHANGES && lives[i].live != life_fork)
			assert_true(recorded);
	}
}

/* Runs the command, and kills it where it has begun or ended its step-th system call. How many
 * there were. */
static long
run_to_step(pid_t pid, long step)
{
	char number[16];
	pid_t command;
	long steps = 0;
	int status;

	snprintf(number, sizeof(number), "%d", (int)pid);
	command = fork();
	assert_true(command >= 0);
	if (command == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 2);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execl(built("vmtrace"), "vmtrace", "record", "-p", number, "--for", "5ms", "-o",
		      scratch_file("killed.vmt"), (char *)NULL);
		_exit(127);
	}
	while (waitpid(command, &status, __WALL) == command && WIFSTOPPED(status)) {
		if (++steps == step)
			kill(command, SIGKILL);
		else
			ptrace(PTRACE_SYSCALL, command, 0, 0);
	}
	return steps;
}

/* The first steps are the loader's, and of no danger. */
static void
a_killed_command_harms_nothing(void **state)
{
	const long rounds = soak_count(3, 400);
	uint64_t random = 88172645463325252U;

	(void)state;
	for (size_t i = 0; i < LIVES; i++) {
		pid_t child = life_start(&lives[i]);
		long steps = run_to_step(child, 0);

		assert_unharmed(&lives[i], child, 0);
		for (long round = 0; round < rounds; round++) {
			long step;

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			step = steps / 4 + (long)(random % (uint64_t)(steps - steps / 4));
			child = life_start(&lives[i]);
			(void)run_to_step(child, step);
			assert_unharmed(&lives[i], child, step);
		}
	}
}

#endif

int
main(void)
{
#if defined(__x86_64__)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_dynamic_program),
	    cmocka_unit_test(a_dynamic_program_with_threads),
	    cmocka_unit_test(one_with_nothing_free_below_its_libraries),
	    cmocka_unit_test(by_a_command_in_the_background),
	    cmocka_unit_test(one_with_nothing_free_around_its_libraries),
	    cmocka_unit_test(a_static_program_of_glibc),
	    cmocka_unit_test(a_static_program_of_musl),
	    cmocka_unit_test(one_whose_thread_has_little_stack_left),
	    cmocka_unit_test(a_go_program_of_an_old_version),
	    cmocka_unit_test(a_go_program_of_a_new_version),
	    cmocka_unit_test(a_go_program_with_cgo),
	    cmocka_unit_test(a_go_program_at_any_address),
	    cmocka_unit_test(one_that_is_traced_already),
	    cmocka_unit_test(one_behind_a_filter),
	    cmocka_unit_test(one_with_the_library),
	    cmocka_unit_test(one_whose_vmtrace_was_killed),
	    cmocka_unit_test(one_that_was_forked_while_its_parent_was_recorded),
	    cmocka_unit_test(one_with_nothing_free_around_all_of_its_code),
	    cmocka_unit_test(whatever_it_does_goes_on),
	    cmocka_unit_test(a_killed_command_harms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
