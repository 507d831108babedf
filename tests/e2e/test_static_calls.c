/*
 * test_static_calls.c: does a trace hold every memory call of a program that loads no library?
 *
 * The recorder is put into the program at its start, as the command does it; then strace is
 * attached before its first instruction. What both saw is compared call by call: thread, kind,
 * address, and length. Calls that only one saw are none. Programs: Go without cgo, and C linked
 * with glibc and with musl, Rust where it is there.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"

#include "inject/static_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MAX 65536
#define BOUND_MS 60000

struct call {
	long thread;
	const char *name;
	uint64_t address;
	uint64_t length;
};

struct calls {
	size_t count;
	struct call calls[CALLS_MAX];
};

static struct calls seen;
static struct calls traced;

static void
add(struct calls *calls, const struct call *call)
{
	assert_true(calls->count < CALLS_MAX);
	calls->calls[calls->count++] = *call;
}

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare(const void *left, const void *right)
{
	const struct call *a = left;
	const struct call *b = right;
	int order = compare_numbers((uint64_t)a->thread, (uint64_t)b->thread);

	if (order == 0)
		order = strcmp(a->name, b->name);
	if (order == 0)
		order = compare_numbers(a->address, b->address);
	return order != 0 ? order : compare_numbers(a->length, b->length);
}

static uint64_t
page_up(uint64_t bytes)
{
	return (bytes + 4095) & ~UINT64_C(4095);
}

/* One whole call of strace's: "1234 mmap(NULL, 8192, ...) = 0x7f..." */
static void
take_line(const char *line)
{
	static const char *const names[][2] = {{"mmap(", "MMAP"},	  {"munmap(", "MUNMAP"},
					       {"mprotect(", "MPROTECT"}, {"madvise(", "MADVISE"},
					       {"mremap(", "MREMAP"},	  {"brk(", "BRK"}};
	struct call call = {.thread = atol(line)};
	const char *rest = strchr(line, ' ');
	const char *equals = strstr(line, ") ");
	const char *result = equals ? strstr(equals, "= ") : NULL;
	uint64_t words[3] = {0};
	uint64_t value;
	const char *at;

	if (!rest || !result || result[2] == '-' || result[2] == '?')
		return;
	while (*rest == ' ')
		rest++;
	value = strtoull(result + 2, NULL, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(rest, names[i][0], strlen(names[i][0])) == 0)
			call.name = names[i][1];
	if (!call.name)
		return;
	at = strchr(rest, '(') + 1;
	for (int i = 0; i < 3 && at; i++) {
		words[i] = strtoull(at, NULL, 0);
		at = strchr(at, ',');
		at = at ? at + 2 : NULL;
	}
	call.address = words[0];
	call.length = page_up(words[1]);
	if (strcmp(call.name, "BRK") == 0) {
		if (words[0] == 0 || value != words[0])
			return; /* asked where it is, or refused */
		call.length = 0;
	} else if (strcmp(call.name, "MMAP") == 0) {
		call.address = value;
	} else if (strcmp(call.name, "MREMAP") == 0) {
		call.address = value;
		call.length = page_up(words[2]);
	}
	add(&seen, &call);
}

/* Calls that strace tells in two parts are joined first. */
static void
read_strace(const char *path)
{
	static char begun[256][512]; /* by thread */
	char line[4096];
	FILE *log = fopen(path, "r");

	assert_non_null(log);
	seen.count = 0;
	while (fgets(line, sizeof(line), log) != NULL) {
		char *unfinished = strstr(line, " <unfinished ...>");
		char *resumed = strstr(line, " resumed>");
		char *own = begun[(size_t)atol(line) % 256];
		char whole[8192];

		if (unfinished != NULL) {
			*unfinished = '\0';
			snprintf(own, sizeof(begun[0]), "%.500s", line);
		} else if (resumed != NULL) {
			snprintf(whole, sizeof(whole), "%s%s", own, resumed + strlen(" resumed>"));
			take_line(whole);
		} else {
			take_line(line);
		}
	}
	fclose(log);
}

static bool
failed(json_t *row)
{
	json_t *error = json_object_get(row, "error");

	return error != NULL && !json_is_null(error) &&
	       !(json_is_integer(error) && json_integer_value(error) == 0);
}

static void
read_trace(const char *trace)
{
	static const char *const kinds[] = {"MMAP",    "MUNMAP", "MPROTECT",
					    "MADVISE", "MREMAP", "BRK"};
	json_t *rows = dump(trace, "event");
	size_t index;
	json_t *row;

	traced.count = 0;
	json_array_foreach(rows, index, row)
	{
		const char *kind = json_string_value(json_object_get(row, "kind"));

		for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			struct call call;

			if (strcmp(kind, kinds[i]) != 0 || failed(row))
				continue;
			call.thread = (long)number(row, "thread");
			call.name = kinds[i];
			call.address =
			    strtoull(json_string_value(member(row, "address")), NULL, 16);
			call.length = json_object_get(row, "length")
					  ? page_up((uint64_t)number(row, "length"))
					  : 0;
			add(&traced, &call);
		}
	}
	json_decref(rows);
}

static void
check_same(const char *what)
{
	size_t i = 0;

	qsort(seen.calls, seen.count, sizeof(seen.calls[0]), compare);
	qsort(traced.calls, traced.count, sizeof(traced.calls[0]), compare);
	while (i < seen.count && i < traced.count && compare(&seen.calls[i], &traced.calls[i]) == 0)
		i++;
	if (i < seen.count || i < traced.count) {
		const struct call none = {0, "nothing", 0, 0};
		const struct call *a = i < seen.count ? &seen.calls[i] : &none;
		const struct call *b = i < traced.count ? &traced.calls[i] : &none;

		fail_msg("%s: strace saw %zu, the trace has %zu; first: strace %ld %s %#lx %lu, "
			 "trace %ld %s %#lx %lu",
			 what, seen.count, traced.count, a->thread, a->name, a->address, a->length,
			 b->thread, b->name, b->address, b->length);
	}
}

static void *
read_blob(size_t *bytes)
{
	int fd = open(built("blob.bare.so"), O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *blob;

	assert_true(fd >= 0 && fstat(fd, &status) == 0);
	*bytes = (size_t)status.st_size;
	blob = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	assert_ptr_not_equal(blob, MAP_FAILED);
	return blob;
}

static pid_t
start_stopped(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDIN_FILENO);
		close(null);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

static bool
is_traced(pid_t pid)
{
	char path[64];
	char line[256];
	bool traced_now = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "TracerPid:", 10) == 0)
			traced_now = atol(line + 10) != 0;
	fclose(file);
	return traced_now;
}

/* Yama lets one who is not root attach to children alone, and, as 3, nobody at all. */
static void
need_strace(void)
{
	FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	need_program("strace");
	if (file) {
		scope = fgetc(file) - '0';
		fclose(file);
	}
	if (scope < 1 || (geteuid() == 0 && scope < 3))
		return;
	print_message("skip: no leave for strace to attach (ptrace_scope %d)\n", scope);
	skip();
}

static pid_t
attach_strace(pid_t pid, const char *log)
{
	char number_text[32];
	int64_t until_ms = now_ms() + BOUND_MS;
	pid_t strace;

	snprintf(number_text, sizeof(number_text), "%d", (int)pid);
	strace = fork();
	if (strace == 0) {
		execlp("strace", "strace", "-f", "-qq", "-X", "raw", "-e", "signal=none", "-e",
		       "trace=mmap,munmap,mprotect,madvise,mremap,brk", "-o", log, "-p",
		       number_text, (char *)NULL);
		_exit(127);
	}
	while (!is_traced(pid)) {
		assert_int_equal(waitpid(strace, NULL, WNOHANG), 0);
		assert_true(now_ms() < until_ms);
		usleep(1000);
	}
	return strace;
}

static void
compare_with_strace(const char *what, const char *const argv[], size_t at_least)
{
	const char *trace = scratch_file("calls.vmt");
	const char *log = scratch_file("strace");
	struct vmt_static_start start = {0};
	char settings[4096] = {0};
	size_t bytes;
	pid_t strace;
	int status;

	need_strace();
	unlink(trace);
	start.pid = start_stopped(argv);
	start.blob = read_blob(&start.blob_bytes);
	bytes = (size_t)snprintf(settings, sizeof(settings), "VMTRACE_OUTPUT=%s", trace) + 1;
	bytes +=
	    (size_t)snprintf(settings + bytes, sizeof(settings) - bytes, "VMTRACE_BUFFER=16M") + 1;
	start.settings = settings;
	start.settings_bytes = bytes + 1;
	if (!vmt_static_start_run(&start))
		fail_msg("%s: %s", what, start.why);
	munmap((void *)(uintptr_t)start.blob, start.blob_bytes);
	assert_int_equal(ptrace(PTRACE_DETACH, start.pid, NULL, (long)SIGSTOP), 0);
	assert_int_equal(waitpid(start.pid, &status, WUNTRACED), start.pid);
	assert_true(WIFSTOPPED(status));
	strace = attach_strace(start.pid, log);
	kill(start.pid, SIGCONT);
	assert_int_equal(waitpid(strace, &status, 0), strace);
	assert_int_equal(waitpid(start.pid, &status, 0), start.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	read_strace(log);
	read_trace(trace);
	check_same(what);
	assert_true(seen.count >= at_least);
}

static void
check_calls(const char *version)
{
	static const char *const stripped[] = {"-ldflags=-s -w -buildid=", NULL};
	const char *programs[] = {
	    go_program_without_cgo(version, "alone", "", NULL),
	    go_program_without_cgo(version, "alone", "stripped-unnamed", stripped)};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		compare_with_strace(version, (const char *const[]){programs[i], "wait", NULL}, 20);
}

/* A way to link tests/target/static_calls.c. */
struct linked {
	const char *compiler;
	const char *flag;
	const char *stripped;
};

static void
check_linked(const struct linked *how)
{
	const char *program = scratch_file("static_calls");
	const char *const link[] = {how->compiler, how->flag, "-D_GNU_SOURCE",
				    "-O2",	   "-g",      how->stripped,
				    "-o",	   program,   "tests/target/static_calls.c",
				    "-lpthread",   NULL};
	struct run run;

	need_program(how->compiler);
	run_program(&run, link, NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	compare_with_strace(how->compiler, (const char *const[]){program, "4", "50", NULL}, 1500);
}

static void
test_glibc(void **state)
{
	(void)state;
	check_linked(&(struct linked){"gcc", "-static", "-fno-plt"});
}

static void
test_glibc_position_independent(void **state)
{
	(void)state;
	check_linked(&(struct linked){"gcc", "-static-pie", "-fno-plt"});
}

static void
test_glibc_stripped(void **state)
{
	(void)state;
	check_linked(&(struct linked){"gcc", "-static", "-s"});
}

static void
test_musl(void **state)
{
	(void)state;
	check_linked(&(struct linked){"musl-gcc", "-static", "-fno-plt"});
}

static void
test_musl_stripped(void **state)
{
	(void)state;
	check_linked(&(struct linked){"musl-gcc", "-static", "-s"});
}

#define TESTS(id, version) TEST(calls, id, version)
#define TEST GO_TEST_FUNCTION
GO_VERSIONS(TESTS)
GO_MORE_VERSIONS(TESTS)
#undef TEST

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST GO_TEST_ENTRY
	    GO_VERSIONS(TESTS) GO_MORE_VERSIONS(TESTS)
#undef TEST
		cmocka_unit_test(test_glibc),
	    cmocka_unit_test(test_glibc_position_independent),
	    cmocka_unit_test(test_glibc_stripped),
	    cmocka_unit_test(test_musl),
	    cmocka_unit_test(test_musl_stripped),
	};

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
