/* go_programs.c: see go_programs.h. */
#include "tests/e2e/go_programs.h"

#include "tests/soak.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLAGS_MAX 8

/* The go command of a version, or NULL. */
static const char *
find_go(const char *version)
{
	static char path[PATH_MAX];
	static const char *const forms[] = {"/usr/lib/go-%s/bin/go",
					    "/opt/go-debian/%s/usr/lib/go-%s/bin/go"};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof(path), forms[i], version, version);
#pragma GCC diagnostic pop
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

void
go_need(const char *version)
{
	if (find_go(version) != NULL)
		return;
	printf("skip: Go %s is not installed (tests/go/fetch_go unpacks newer ones)\n", version);
	skip();
}

struct version {
	const char *id; /* as names of tests have it */
	const char *version;
};

#define VERSION_ENTRY(id, version) {#id, version},
static const struct version versions[] = {GO_VERSIONS(VERSION_ENTRY)};
#define VERSION_COUNT (sizeof(versions) / sizeof(versions[0]))

/* Is it the oldest or the newest that is installed, or of all where none is? */
static bool
is_an_end(size_t index)
{
	size_t first = 0;
	size_t last = VERSION_COUNT - 1;

	while (first < last && find_go(versions[first].version) == NULL)
		first++;
	while (last > first && find_go(versions[last].version) == NULL)
		last--;
	return index == first || index == last;
}

/* name: of a test, test_WHAT_with_go_ID. */
static bool
is_chosen(const char *name, const char *const everywhere[])
{
	static const char between[] = "_with_go_";
	const char *what = name + strlen("test_");
	const char *id = strstr(name, between);
	size_t index = 0;

	if (id == NULL)
		return true;
	while (index < VERSION_COUNT && strcmp(versions[index].id, id + strlen(between)) != 0)
		index++;
	if (index == VERSION_COUNT)
		return false;
	for (size_t i = 0; everywhere != NULL && everywhere[i] != NULL; i++)
		if (strlen(everywhere[i]) == (size_t)(id - what) &&
		    strncmp(everywhere[i], what, (size_t)(id - what)) == 0)
			return true;
	return is_an_end(index);
}

int
go_run_tests(const struct CMUnitTest tests[], size_t count, const char *const everywhere[])
{
	struct CMUnitTest *chosen = calloc(count, sizeof(*chosen));
	const char *asked = getenv("VMT_TEST_CASE");
	bool all = soak_count(0, 1) != 0 || (asked != NULL && asked[0] != '\0');
	size_t taken = 0;
	int failed;

	assert_non_null(chosen);
	for (size_t i = 0; i < count; i++)
		if (all || is_chosen(tests[i].name, everywhere))
			chosen[taken++] = tests[i];
	failed = _cmocka_run_group_tests("tests", chosen, taken, NULL, NULL);
	free(chosen);
	return failed;
}

const char *
go_tool(const char *version, const char *name)
{
	static char path[PATH_MAX];
	const char *go = find_go(version);

	assert_non_null(go);
#ifdef __aarch64__
	snprintf(path, sizeof(path), "%.*s/pkg/tool/linux_arm64/%s",
		 (int)(strlen(go) - strlen("/bin/go")), go, name);
#else
	snprintf(path, sizeof(path), "%.*s/pkg/tool/linux_amd64/%s",
		 (int)(strlen(go) - strlen("/bin/go")), go, name);
#endif
	return path;
}

const char *
go_sources(const char *version, const char *package)
{
	static char path[PATH_MAX];
	const char *go = find_go(version);

	assert_non_null(go);
	snprintf(path, sizeof(path), "%.*s/src/%s", (int)(strlen(go) - strlen("/bin/go")), go,
		 package);
	return path;
}

void
go_command(struct run *run, const char *version, const char *directory,
	   const char *const arguments[], const char *cgo)
{
	char cache[PATH_MAX];
	const char *argv[16 + FLAGS_MAX] = {"env", "-C", directory ? directory : "tests/go",
					    find_go(version)};
	size_t count = 4;

	assert_non_null(argv[3]);
	for (size_t i = 0; arguments[i] != NULL; i++) {
		assert_true(count < sizeof(argv) / sizeof(argv[0]) - 1);
		argv[count++] = arguments[i];
	}
	snprintf(cache, sizeof(cache), "GOCACHE=%s/cache-%s", built("tests/go"), version);
	const char *const environment[] = {cache,
					   cgo,
					   directory ? "GOFLAGS=" : "GOFLAGS=-mod=mod",
					   "GOTOOLCHAIN=local",
					   "GO111MODULE=on",
					   "GOENV=off",
					   "GOPATH=/nonexistent",
					   NULL};

	run_program(run, argv, environment);
	if (run->exit_status != 0)
		print_error("%s", run->err);
}

void
go_pprof(struct run *run, const char *version, const char *const arguments[])
{
	const char *argv[16] = {"tool", "pprof"};
	size_t count = 2;
	bool brings_none = access(go_tool(version, "pprof"), X_OK) != 0;

	while (*arguments && count < sizeof(argv) / sizeof(argv[0]) - 1)
		argv[count++] = *arguments++;
	assert_null(*arguments);
	if (brings_none && soak_count(1, 0) != 0 && find_go(GO_PPROF) != NULL)
		version = GO_PPROF;
	go_command(run, version, NULL, argv, "CGO_ENABLED=0");
	assert_int_equal(run->exit_status, 0);
}

static const char *
build(const char *version, const char *name, const char *label, const char *const flags[],
      const char *cgo)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 8];
	char source[PATH_MAX];
	const char *arguments[8 + FLAGS_MAX] = {"build"};
	size_t count = 1;
	struct run run;

	snprintf(path, PATH_MAX, "%s/%s-%s%s%s", built("tests/go"), name, version,
		 label[0] ? "-" : "", label);
	snprintf(source, sizeof(source), "./%s", name);
	for (size_t i = 0; flags != NULL && flags[i] != NULL && i < FLAGS_MAX; i++)
		arguments[count++] = flags[i];
	arguments[count++] = "-o";
	arguments[count++] = path;
	arguments[count++] = source;
	arguments[count] = NULL;
	go_command(&run, version, NULL, arguments, cgo);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	return path;
}

const char *
go_program(const char *version, const char *name, const char *label, const char *const flags[])
{
	return build(version, name, label, flags, "CGO_ENABLED=1");
}

const char *
go_program_without_cgo(const char *version, const char *name, const char *label,
		       const char *const flags[])
{
	return build(version, name, label, flags, "CGO_ENABLED=0");
}

/* LD_PRELOAD=... */
static const char *
library(void)
{
	static char variable[4352];

	snprintf(variable, sizeof(variable), "LD_PRELOAD=%s", built("libvmtrace.so"));
	return variable;
}

void
go_run(struct run *run, const char *trace, const char *program, const char *argument,
       const char *variable)
{
	char output[4352];
	const char *const argv[] = {program, argument, NULL};
	const char *const environment[] = {
	    library(), output, "VMTRACE_DEPTH=60", "GODEBUG=asyncpreemptoff=0", variable, NULL};

	unlink(trace);
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", trace);
	run_program(run, argv, environment);
}
