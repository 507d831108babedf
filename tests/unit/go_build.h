/*
 * go_build.h: how does a test get Go programs to look at?
 *
 * Builds a small program with the oldest and the newest Go toolchain that the machine has (Debian's
 * packages, and those that tests/go/fetch_go unpacks), in the long form of tests/soak.h with each.
 * The standard library that go compiles for it is kept below the build directory, for the e2e
 * tests, too. Where there is no toolchain, tests skip, and say so by name.
 */
#ifndef GO_BUILD_H
#define GO_BUILD_H

#include <glob.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/soak.h"

/* Lines are counted by the tests: keep them. */
#define GO_INNER_LINE 24
#define GO_MIDDLE_LINE 26
#define GO_OUTER_LINE 29

static const char go_source[] = "package main\n"				       /* 1 */
				"\n"						       /* 2 */
				"//static int twice(int a) { return 2 * a; }\n"	       /* 3 */
				"import \"C\"\n"				       /* 4 */
				"import \"fmt\"\n"				       /* 5 */
				"\n"						       /* 6 */
				"type Number interface{ ~int | ~float64 }\n"	       /* 7 */
				"type Box[T any] struct{ item T }\n"		       /* 8 */
				"type Shape struct{ name string }\n"		       /* 9 */
				"\n"						       /* 10 */
				"//go:noinline\n"				       /* 11 */
				"func Sum[T Number](a, b T) T { return a + b }\n"      /* 12 */
				"//go:noinline\n"				       /* 13 */
				"func (b *Box[T]) Put(item T) { b.item = item }\n"     /* 14 */
				"//go:noinline\n"				       /* 15 */
				"func (s Shape) Value() int { return len(s.name) }\n"  /* 16 */
				"//go:noinline\n"				       /* 17 */
				"func (s *Shape) Pointer() int { return 1 }\n"	       /* 18 */
				"//go:noinline\n"				       /* 19 */
				"func leaf(n int) int { return n + 1 }\n"	       /* 20 */
				"\n"						       /* 21 */
				"\n"						       /* 22 */
				"func inner(n int) int {\n"			       /* 23 */
				"	return leaf(n) + 2 }\n"			       /* 24 */
				"func middle(n int) int {\n"			       /* 25 */
				"	return inner(n) + 3 }\n"		       /* 26 */
				"//go:noinline\n"				       /* 27 */
				"func outer(n int) int {\n"			       /* 28 */
				"	return middle(n) + 4 }\n"		       /* 29 */
				"func main() {\n"				       /* 30 */
				"	s := &Shape{\"x\"}\n"			       /* 31 */
				"	f := func() int { return outer(s.Value()) }\n" /* 32 */
				"	(&Box[int]{}).Put(f())\n"		       /* 33 */
				"	(&Box[string]{}).Put(\"x\")\n"		       /* 34 */
				"	fmt.Println(Sum(1, s.Pointer()), Sum(1.5, 2.5), "
				"C.twice(1))\n" /* 35 */
				"}\n";

static char go_directory[64];
static glob_t go_toolchains; /* gl_pathc: of those that are used */
static size_t go_toolchains_found;

/* In the fast form the newest takes the second's place, and those after it are left out. */
static inline void
go_choose_ends(void)
{
	size_t count = go_toolchains.gl_pathc;
	char **paths = go_toolchains.gl_pathv;

	go_toolchains_found = count;
	if (count <= 2 || soak_count(0, 1) != 0)
		return;
	char *second = paths[1];

	paths[1] = paths[count - 1];
	paths[count - 1] = second;
	go_toolchains.gl_pathc = 2;
}

/* BUILD/tests/go/cache-VERSION of this test, BUILD/tests/unit/test_x. */
static inline void
go_cache(char path[PATH_MAX], const char *toolchain)
{
	const char *version = strstr(toolchain, "/go-1.");
	char self[PATH_MAX - 64];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(length > 0 && version != NULL);
	self[length] = '\0';
	for (int level = 0; level < 2; level++)
		*strrchr(self, '/') = '\0';
	snprintf(path, PATH_MAX, "%s/go/cache-%.*s", self,
		 (int)strcspn(version + strlen("/go-"), "/"), version + strlen("/go-"));
}

__attribute__((unused)) static int
go_run(const char *format, ...)
{
	char command[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command);
}

/* Finds the toolchains, writes the program. */
__attribute__((unused)) static int
go_set_up(void **state)
{
	char path[128];
	FILE *file;

	(void)state;
	glob("/usr/lib/go-*/bin/go", 0, NULL, &go_toolchains);
	glob("/opt/go-debian/*/usr/lib/go-*/bin/go", GLOB_APPEND, NULL, &go_toolchains);
	go_choose_ends();
	strcpy(go_directory, "/tmp/vmt-go-XXXXXX");
	if (!mkdtemp(go_directory))
		return -1;
	snprintf(path, sizeof(path), "%s/main.go", go_directory);
	file = fopen(path, "w");
	if (!file)
		return -1;
	fputs(go_source, file);
	fclose(file);
	return go_run("printf 'module example.com/small\\ngo 1.18\\n' > %s/go.mod", go_directory);
}

__attribute__((unused)) static int
go_tear_down(void **state)
{
	(void)state;
	go_toolchains.gl_pathc = go_toolchains_found;
	globfree(&go_toolchains);
	return go_run("rm -rf %s", go_directory);
}

/* Builds the program as `name` in the test's directory; its path. */
__attribute__((unused)) static const char *
go_build(const char *toolchain, const char *name, const char *variables, const char *flags)
{
	static char paths[4][160];
	static unsigned next;
	char *path = paths[next++ % 4];
	char cache[PATH_MAX];

	snprintf(path, sizeof(paths[0]), "%s/%s", go_directory, name);
	go_cache(cache, toolchain);
	assert_int_equal(
	    go_run("cd %s && GOROOT=$(dirname $(dirname %s)) GOTOOLCHAIN=local "
		   "GOFLAGS=-mod=mod HOME=${HOME:-/tmp} GOCACHE='%s' CGO_ENABLED=1 %s %s build %s "
		   "-o %s . >build.log 2>&1 || { cat build.log >&2; false; }",
		   go_directory, toolchain, cache, variables, toolchain, flags, path),
	    0);
	return path;
}

/* Skips, by name, where there is no toolchain at all. */
#define GO_NEEDED(what)                                                                            \
	do {                                                                                       \
		if (go_toolchains.gl_pathc == 0) {                                                 \
			print_message("no Go toolchain on this machine: %s is not tested\n",       \
				      (what));                                                     \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

#endif
