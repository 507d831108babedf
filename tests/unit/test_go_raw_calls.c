/* What the doctor says of Go programs, of real toolchains. */
#include "tests/soak.h"
#include "tests/unit/go_build.h"

#include "format/go_offsets.h"
#include "tools/cmd/doctor.h"
#include "tools/read/elf/go_raw_calls.h"

static void
what_is_no_go_program_has_nothing(void **state)
{
	struct vmt_go_raw_calls program;

	(void)state;
	assert_true(vmt_go_raw_calls_inspect(&program, "/proc/self/exe"));
	assert_false(program.is_go);
	assert_int_equal(program.site_count, 0);
	assert_false(vmt_go_raw_calls_inspect(&program, "/no/such/file"));
	assert_false(vmt_go_raw_calls_inspect(&program, "/dev/null"));
}

static void
check_sites(const struct vmt_go_raw_calls *program)
{
	static const char *const wanted[] = {"runtime.madvise", "runtime.sysMmap",
					     "runtime.sysMunmap"};

	for (size_t i = 0; program->supported && i < sizeof(wanted) / sizeof(*wanted); i++) {
		bool found = false;

		for (size_t j = 0; j < program->site_count; j++)
			if (strcmp(program->sites[j].symbol, wanted[i]) == 0)
				found = program->sites[j].known;
		assert_true(found);
	}
}

/* The doctor's words about a program. */
static char *
words_of(const char *path, unsigned *lacks)
{
	struct vmt_doctor doctor = {.layout = {.columns = 1000}};
	struct vmt_preloadable program;
	struct vmt_err err = {""};
	char *text = NULL;
	size_t bytes;

	assert_int_equal(vmt_preloadable_inspect(&program, path, &err), 0);
	doctor.layout.out = open_memstream(&text, &bytes);
	assert_non_null(doctor.layout.out);
	vmt_doctor_program(&doctor, &program);
	fclose(doctor.layout.out);
	*lacks = doctor.lacks;
	return text;
}

static void
assert_said(const char *path, unsigned lacks_wanted, const char *words)
{
	unsigned lacks;
	char *text = words_of(path, &lacks);

	assert_int_equal(lacks, lacks_wanted);
	if (!strstr(text, words))
		fail_msg("'%s' is not in:\n%s", words, text);
	free(text);
}

/* Each way of building compiles a standard library: in the fast form the newest alone. */
static size_t
first_toolchain(void)
{
	return (size_t)soak_count((long)go_toolchains.gl_pathc - 1, 0);
}

static void
programs_are_told_apart(void **state)
{
	(void)state;
	GO_NEEDED("what the doctor says of Go programs");
	for (size_t i = 0; i < go_toolchains.gl_pathc; i++) {
		const char *toolchain = go_toolchains.gl_pathv[i];
		const char *full = go_build(toolchain, "full", "", "");
		const char *stripped = go_build(toolchain, "stripped", "", "-ldflags '-s -w'");
		struct vmt_go_raw_calls program;

		print_message("%s\n", toolchain);
		assert_true(vmt_go_raw_calls_inspect(&program, full));
		assert_true(program.is_go && program.cgo && program.has_symbols);
		assert_true(program.has_debug && program.has_inlined);
		check_sites(&program);
		assert_said(full, 0, "not stripped");
		assert_said(full, 0, "would be recorded: runtime.madvise");
		assert_true(vmt_go_raw_calls_inspect(&program, stripped));
		assert_true(program.cgo && !program.has_symbols && !program.has_debug);
		check_sites(&program);
		assert_said(stripped, 0, "stripped (-s -w)");
		assert_int_equal(program.has_heap, vmt_go_offsets_of(program.version) != NULL);
		assert_int_equal(program.has_counters, program.has_heap);
		assert_said(stripped, 0,
			    program.has_heap ? "what the Go heap is used for can be read"
					     : "keeps its heap is unknown");
	}
}

static void
a_static_program_gets_a_remedy(void **state)
{
	struct vmt_go_raw_calls program;
	const char *path;

	(void)state;
	GO_NEEDED("static Go programs");
	/* The same module, without C. */
	assert_int_equal(
	    go_run("printf 'package main\\nfunc main() { println(1) }\\n' > %s/main.go",
		   go_directory),
	    0);
	path = go_build(go_toolchains.gl_pathv[go_toolchains.gl_pathc - 1], "static",
			"CGO_ENABLED=0", "");
	assert_true(vmt_go_raw_calls_inspect(&program, path));
	assert_true(program.is_go && !program.cgo);
	assert_said(path, 0, "statically linked: vmtrace record puts its recorder into it");
	assert_said(path, 0, "start it by vmtrace record");
	path = go_build(go_toolchains.gl_pathv[go_toolchains.gl_pathc - 1], "external", "",
			"-ldflags=-linkmode=external");
	assert_said(path, 0, "cgo: C code is linked in");
}

static void
other_processors_are_a_blind_spot(void **state)
{
	struct vmt_go_raw_calls program;
	const char *path;

	(void)state;
	GO_NEEDED("Go programs for arm64");
	for (size_t i = first_toolchain(); i < go_toolchains.gl_pathc; i++) {
		path =
		    go_build(go_toolchains.gl_pathv[i], "arm64", "GOARCH=arm64 CGO_ENABLED=0", "");
		assert_true(vmt_go_raw_calls_inspect(&program, path));
		assert_true(program.is_go && !program.supported);
		assert_int_equal(program.site_count, 0);
		assert_said(path, 1, "built for another machine");
		assert_said(path, 1, "on the program's architecture they are not recorded");
	}
}

static void
shared_objects_and_race_builds_are_known(void **state)
{
	(void)state;
	GO_NEEDED("shared objects and race builds");
	for (size_t i = first_toolchain(); i < go_toolchains.gl_pathc; i++) {
		const char *toolchain = go_toolchains.gl_pathv[i];
		const char *path = go_build(toolchain, "object.so", "", "-buildmode=c-shared");

		assert_said(path, 1, "it is a shared object");
		assert_said(path, 1, "would be recorded: runtime.madvise");
		path = go_build(toolchain, "pie", "", "-buildmode=pie");
		assert_said(path, 0, "would be recorded: runtime.madvise");
		path = go_build(toolchain, "race", "", "-race");
		assert_said(path, 0, "built with the race detector");
		assert_said(path, 0, "would be recorded: runtime.madvise");
	}
}

static void
a_limit_on_reading_others_is_told(void **state)
{
	struct vmt_doctor doctor = {.layout = {.columns = 1000}};
	char *text = NULL;
	size_t bytes;

	(void)state;
	doctor.layout.out = open_memstream(&text, &bytes);
	assert_non_null(doctor.layout.out);
	vmt_doctor_go_counters(&doctor, 0);
	assert_int_equal(doctor.notes, 0);
	vmt_doctor_go_counters(&doctor, 1);
	fflush(doctor.layout.out);
	assert_non_null(strstr(text, "ptrace_scope is 1"));
	assert_null(strstr(text, "nor can vmtrace record"));
	vmt_doctor_go_counters(&doctor, 2);
	fclose(doctor.layout.out);
	assert_non_null(strstr(text, "CAP_SYS_PTRACE"));
	assert_non_null(strstr(text, "nor can vmtrace record"));
	assert_int_equal(doctor.notes, 2);
	assert_int_equal(doctor.lacks, 0);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_no_go_program_has_nothing),
	    cmocka_unit_test(programs_are_told_apart),
	    cmocka_unit_test(shared_objects_and_race_builds_are_known),
	    cmocka_unit_test(a_static_program_gets_a_remedy),
	    cmocka_unit_test(other_processors_are_a_blind_spot),
	    cmocka_unit_test(a_limit_on_reading_others_is_told),
	};

	return cmocka_run_group_tests(tests, go_set_up, go_tear_down);
}
