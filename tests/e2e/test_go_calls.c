/*
 * test_go_calls.c: does a trace hold every memory call of a Go program, and no other?
 *
 * The programs of tests/go run under strace and the library at once; the calls that both saw are
 * compared one by one. What the C library does for itself, thread stacks above all, passes no hook
 * and is left out: it is told to map nothing else.
 */
#include "tests/e2e/go_programs.h"
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLS_MAX 8192

struct call {
	const char *name;
	uint64_t address;
	uint64_t length;
};

struct calls {
	size_t count;
	struct call calls[CALLS_MAX];
};

static void
add_call(struct calls *calls, const char *name, uint64_t address, uint64_t length)
{
	assert_true(calls->count < CALLS_MAX);
	calls->calls[calls->count++] = (struct call){name, address, length};
}

static int
compare_calls(const void *left, const void *right)
{
	const struct call *a = left;
	const struct call *b = right;
	int names = strcmp(a->name, b->name);

	if (names != 0)
		return names;
	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return a->length < b->length ? -1 : a->length > b->length;
}

static uint64_t
page_up(uint64_t bytes)
{
	return (bytes + 4095) & ~UINT64_C(4095);
}

/* Thread stacks, which the C library maps and unprotects by itself. */
static struct calls stacks;

static bool
is_in_stack(uint64_t address)
{
	for (size_t i = 0; i < stacks.count; i++)
		if (address - stacks.calls[i].address < stacks.calls[i].length)
			return true;
	return false;
}

static void
take_mmap(struct calls *calls, const char *call)
{
	unsigned long address;
	unsigned long length;
	const char *result = strstr(call, " = 0x");

	if (result == NULL || sscanf(strchr(call, ',') + 1, "%lu", &length) != 1 ||
	    sscanf(result, " = 0x%lx", &address) != 1)
		return;
	if (strstr(call, "MAP_STACK") != NULL)
		add_call(&stacks, "stack", address, length);
	else
		add_call(calls, "MMAP", address, page_up(length));
}

/* One line of strace, less what the C library does for itself. */
static void
take_line(struct calls *calls, const char *line)
{
	static const struct {
		const char *form;
		const char *kind;
	} forms[] = {{"madvise(", "MADVISE"}, {"munmap(", "MUNMAP"}, {"mprotect(", "MPROTECT"}};
	const char *call = strchr(line, ' ');
	unsigned long address;
	unsigned long length;

	/* A call that the process's end cut off has no result. */
	if (call == NULL || strstr(call, " = ?") != NULL)
		return;
	call += strspn(call, " ");
	if (strncmp(call, "mmap(", 5) == 0)
		take_mmap(calls, call);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strncmp(call, forms[i].form, strlen(forms[i].form)) == 0 &&
		    sscanf(strchr(call, '(') + 1, "0x%lx, %lu", &address, &length) == 2 &&
		    !is_in_stack(address))
			add_call(calls, forms[i].kind, address, page_up(length));
}

/* What comes after the last call that the library makes while it loads: the mapping of its stacks.
 * Calls that strace tells in two parts are joined first. */
static void
read_strace(struct calls *calls, const char *path)
{
	static char lines[64][512]; /* unfinished calls, by thread */
	static long other;	    /* a child that became another program */
	static char line[65536];
	unsigned long pool;
	bool begun = false;
	FILE *log = fopen(path, "r");

	assert_non_null(log);
	calls->count = 0;
	stacks.count = 0;
	other = 0;
	memset(lines, 0, sizeof(lines));
	while (fgets(line, sizeof(line), log) != NULL) {
		size_t thread = (size_t)atol(line) % 64;
		char *unfinished = strstr(line, " <unfinished ...>");
		char *resumed = strstr(line, " resumed>");

		if (strstr(line, "(NULL, 4194304, PROT_READ|PROT_WRITE, "
				 "MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE") != NULL &&
		    strstr(line, " = 0x") != NULL &&
		    sscanf(strstr(line, " = 0x"), " = 0x%lx", &pool) == 1) {
			/* The library closes pages between its stacks. */
			add_call(&stacks, "stack", pool, 4194304);
			begun = true;
			continue;
		}
		if (begun && strstr(line, " execve(") != NULL)
			other = atol(line);
		if (!begun || atol(line) == other)
			continue;
		if (unfinished != NULL) {
			*unfinished = '\0';
			snprintf(lines[thread], sizeof(lines[thread]), "%.500s", line);
		} else if (resumed != NULL) {
			char whole[1024];

			snprintf(whole, sizeof(whole), "%s%.400s", lines[thread], resumed + 9);
			take_line(calls, whole);
		} else {
			take_line(calls, line);
		}
	}
	fclose(log);
	assert_true(begun);
}

static void
read_events(struct calls *calls, const char *trace)
{
	static const char *const kinds[] = {"MADVISE", "MUNMAP", "MPROTECT", "MMAP"};
	const char *const argv[] = {built("vmtrace"), "dump", "--format", "json", trace, NULL};
	struct run run;

	calls->count = 0;
	run_program(&run, argv, NULL);
	assert_int_equal(run.exit_status, 0);
	for (char *line = strtok(run.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		json_t *row = json_loads(line, 0, NULL);
		const char *kind = json_string_value(json_object_get(row, "kind"));

		for (size_t i = 0; kind != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (strcmp(kind, kinds[i]) == 0)
				add_call(
				    calls, kinds[i],
				    strtoull(json_string_value(member(row, "address")), NULL, 16),
				    (uint64_t)number(row, "length"));
		json_decref(row);
	}
	run_free(&run);
}

static void
check_same_calls(struct calls *seen, struct calls *traced)
{
	qsort(seen->calls, seen->count, sizeof(seen->calls[0]), compare_calls);
	qsort(traced->calls, traced->count, sizeof(traced->calls[0]), compare_calls);
	for (size_t i = 0; i < seen->count && i < traced->count; i++)
		if (compare_calls(&seen->calls[i], &traced->calls[i]) != 0)
			fail_msg("strace: %s %#lx %lu, trace: %s %#lx %lu", seen->calls[i].name,
				 seen->calls[i].address, seen->calls[i].length,
				 traced->calls[i].name, traced->calls[i].address,
				 traced->calls[i].length);
	assert_int_equal(seen->count, traced->count);
}

/* One arena, and no block that is mapped: then the C library maps nothing but thread stacks. */
static void
compare_with_strace(const char *version, const char *program, size_t at_least)
{
	static struct calls seen;
	static struct calls traced;
	const char *log = scratch_file("strace");
	const char *trace = scratch_file("strace.vmt");
	const char *binary = go_program(version, program, "", NULL);
	const char *name = strrchr(binary, '/') + 1;
	char only[256];
	struct run run;

	snprintf(only, sizeof(only), "VMTRACE_ONLY=%s", name);
	const char *const argv[] = {built("vmtrace"),
				    "record",
				    "-o",
				    trace,
				    "--",
				    "strace",
				    "-f",
				    "-o",
				    log,
				    "-e",
				    "trace=madvise,mmap,munmap,mprotect,execve",
				    binary,
				    NULL};

	const char *const environment[] = {only, "MALLOC_ARENA_MAX=1", "MALLOC_MMAP_MAX_=0",
					   "MALLOC_TRIM_THRESHOLD_=-1", NULL};

	unlink(trace);
	run_program(&run, argv, environment);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	read_strace(&seen, log);
	read_events(&traced, trace);
	check_same_calls(&seen, &traced);
	assert_true(traced.count >= at_least);
}

static void
check_calls(const char *version)
{
	compare_with_strace(version, "service", 40);
	compare_with_strace(version, "raw", 5 * 400);
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
	};

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
