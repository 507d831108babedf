/*
 * test_go_causes.c: is the right reason named for which a Go program has so much memory?
 *
 * tests/go/causes has most of it for one reason, by its argument.
 */
#include "tests/e2e/documented.h"
#include "tests/e2e/go_looks.h"
#include "tests/e2e/go_programs.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
/* What debug.FreeOSMemory leaves: pages that each of two processors holds aside, and 4 MiB that the
 * background scavenger has in its hands. */
#define ASIDE_BYTES (6 * MIB)

static json_t *
diagnosis(const struct go_look *look)
{
	return member(member(look->report, "go"), "diagnosis");
}

static const char *
text_of(const struct go_look *look, const char *key)
{
	const char *text = json_string_value(member(diagnosis(look), key));

	if (!text)
		fail_msg("no %s: %s", key, json_dumps(diagnosis(look), 0));
	return text;
}

static void
expect_words(const struct go_look *look, const char *key, const char *words)
{
	const char *text = text_of(look, key);

	if (!says(text, words))
		fail_msg("no \"%s\" in: %s", words, text);
}

static void
expect_cause(const struct go_look *look, const char *cause, const char *words)
{
	const char *found = json_string_value(member(diagnosis(look), "cause"));

	if (!found || strcmp(found, cause) != 0)
		fail_msg("not %s: %s", cause, json_dumps(diagnosis(look), 0));
	expect_words(look, "cause_text", words);
}

static int64_t
rss(const struct go_look *look)
{
	return number(member(look->report, "snapshot"), "rss_bytes");
}

/* The parts are all of RSS. */
static void
check_parts(const struct go_look *look)
{
	static const char *const parts[] = {"objects",	"free_slots", "stacks", "idle",
					    "released", "metadata",   "malloc", "outside"};
	int64_t sum = 0;
	char key[64];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(key, sizeof(key), "rss_%s_bytes", parts[i]);
		sum += number(diagnosis(look), key);
	}
	assert_int_equal(sum, rss(look));
	check_documented(look->report, "docs/trace-format.md");
}

/* What debug.FreeOSMemory gave back, against what was said of it. */
static int64_t
check_freed(struct conversation *talk, const struct go_look *before)
{
	json_t *said = diagnosis(before);
	struct go_look after = go_look_steady(talk, "free");
	int64_t idle = number(said, "rss_idle_bytes");
	int64_t most = idle + number(said, "since_bytes") + number(said, "unswept_bytes");
	int64_t freed = rss(before) - rss(&after);

	if (freed < idle - ASIDE_BYTES || freed > most + ASIDE_BYTES)
		fail_msg("%lld freed, %lld to %lld said: %s", (long long)freed, (long long)idle,
			 (long long)most, text_of(before, "give_back_text"));
	assert_true(number(diagnosis(&after), "rss_idle_bytes") <= ASIDE_BYTES);
	go_look_forget(&after);
	return freed;
}

static void
check_live(struct conversation *talk, const struct go_look *look)
{
	struct go_look limited;

	expect_cause(look, "live objects", "objects that were live at the last collection");
	assert_in_range(number(diagnosis(look), "cause_bytes"), 44 * MIB, 52 * MIB);
	expect_words(look, "above_text", "that GOGC lets objects grow to");
	limited = go_look_steady(talk, "24");
	expect_words(&limited, "limit_text", "The memory limit (GOMEMLIMIT) is 24 MiB");
	expect_words(&limited, "limit_text", "It can't hold: what was live at the last collection");
	go_look_forget(&limited);
	limited = go_look_steady(talk, "1024");
	expect_words(&limited, "limit_text", "The memory limit (GOMEMLIMIT) is 1 GiB");
	if (says(text_of(&limited, "limit_text"), "It can't hold"))
		fail_msg("%s", text_of(&limited, "limit_text"));
	go_look_forget(&limited);
}

static void
check_garbage(struct conversation *talk, const struct go_look *look)
{
	expect_cause(look, "new objects or garbage", "GOGC is 400, so the heap may grow to ");
	assert_in_range(number(diagnosis(look), "since_bytes"), 48 * MIB, 56 * MIB);
	assert_in_range(number(diagnosis(look), "live_bytes"), 15 * MIB, 18 * MIB);
	expect_words(look, "give_back_text", "what its collection frees of objects: what of 5");
	/* All of it is garbage. */
	assert_true(check_freed(talk, look) >= 52 * MIB - ASIDE_BYTES);
}

static void
check_fragments(struct conversation *talk, const struct go_look *look)
{
	expect_cause(look, "free slots", "The most is in spans of 112-byte objects: ");
	expect_words(look, "cause_text", "6 % in use");
	assert_true(number(diagnosis(look), "cause_bytes") >= 36 * MIB);
	check_freed(talk, look);
}

static void
check_parked(struct conversation *talk, const struct go_look *look)
{
	(void)talk;
	expect_cause(look, "goroutine stacks", "are of 10,000 that main.parked main.go:");
	assert_in_range(number(diagnosis(look), "cause_bytes"), 10000 * 4 * 1024,
			10000 * 16 * 1024);
}

static void
check_many(struct conversation *talk, const struct go_look *look)
{
	(void)talk;
	expect_cause(look, "goroutine stacks", "are of 50,000 that main.parked main.go:");
}

static void
check_idle(struct conversation *talk, const struct go_look *look)
{
	expect_cause(look, "idle pages", "pages of Go's heap that are free and not given back.");
	expect_words(look, "cause_text", "Its scavenger is about to give back ");
	check_freed(talk, look);
}

static void
check_untouched(struct conversation *talk, const struct go_look *look)
{
	(void)talk;
	expect_cause(look, "outside Go", " MiB that Go counts as objects, 64 MiB is not in RAM.");
	assert_true(number(diagnosis(look), "rss_objects_bytes") <= 4 * MIB);
}

static void
check_cause(const char *program, const char *way,
	    void (*check)(struct conversation *talk, const struct go_look *look))
{
	struct conversation talk;
	struct go_look look;

	converse_start(&talk, (const char *const[]){program, way, NULL}, NULL);
	look = go_look_steady(&talk, "");
	check_parts(&look);
	check(&talk, &look);
	go_look_forget(&look);
	assert_int_equal(converse_end(&talk), 0);
}

static void
expect_change(const char *a, const char *b, const char *cause, const char *words)
{
	struct run run;
	json_t *root, *go;
	const char *found;

	run_program(&run,
		    (const char *const[]){built("vmtrace"), "diff", a, b, "--format", "json", NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	root = json_loads(run.out, 0, NULL);
	assert_non_null(root);
	check_documented(root, "docs/man/vmtrace-diff.1.scd");
	go = member(root, "go");
	found = json_string_value(member(go, "cause"));
	if (!found || strcmp(found, cause) != 0 ||
	    !says(json_string_value(member(go, "text")), words))
		fail_msg("not %s, \"%s\": %s", cause, words, json_dumps(go, 0));
	json_decref(root);
	run_free(&run);
}

/* Before the program did what its argument says, and after; then after one line more. */
static void
check_change(const char *program, const char *way, const char *cause, const char *words,
	     const char *line, const char *line_words)
{
	const char *before = scratch_file("before.vmt");
	const char *after = scratch_file("after.vmt");
	const char *later = scratch_file("later.vmt");
	struct conversation talk;

	converse_start(&talk, (const char *const[]){program, way, NULL}, NULL);
	go_look_keep(&talk, "nothing", before);
	go_look_keep(&talk, "", after);
	expect_change(before, after, cause, words);
	if (line) {
		go_look_keep(&talk, line, later);
		expect_change(after, later, cause, line_words);
	}
	assert_int_equal(converse_end(&talk), 0);
}

/* As many objects, in RAM or not: the program writes to them, or the runtime, as others were there
 * before. */
static void
check_touched(const char *program)
{
	const char *untouched = scratch_file("untouched.vmt");
	const char *touched = scratch_file("touched.vmt");
	const char *reused = scratch_file("reused.vmt");
	struct conversation talk;

	converse_start(&talk, (const char *const[]){program, "untouched", NULL}, NULL);
	go_look_keep(&talk, "", untouched);
	go_look_keep(&talk, "touch", touched);
	expect_change(untouched, touched, "untouched objects",
		      " MiB of that is in large objects, whose pages came fresh from the "
		      "kernel: Go had no need to zero them.");
	assert_int_equal(converse_end(&talk), 0);
	converse_start(&talk, (const char *const[]){program, "reused", NULL}, NULL);
	go_look_keep(&talk, "", reused);
	expect_change(untouched, reused, "untouched objects",
		      " MiB of that is in large objects, whose pages Go had used before: it zeroes "
		      "such pages at allocation (needzero).");
	assert_int_equal(converse_end(&talk), 0);
}

/* Live growth, garbage, fragments, stacks, and what the scavenger has still to give back. */
static void
check_changes(const char *version)
{
	const char *program = go_program_without_cgo(version, "causes", "static", NULL);

	check_change(program, "live", "live objects", "objects, most of them live.", NULL, NULL);
	check_change(program, "garbage", "new objects or garbage", "and 400 in B (goal ", "free",
		     "Most of the change, -");
	check_change(program, "fragments", "free slots", "in spans of 112-byte objects: ", NULL,
		     NULL);
	check_change(program, "parked", "goroutine stacks", "goroutines, B 10,0", NULL, NULL);
	check_change(program, "idle", "idle pages", "Its scavenger is about to give back", "free",
		     "is free pages of Go's heap.");
	check_touched(program);
}

static void
check_causes_of(const char *program)
{
	check_cause(program, "live", check_live);
	check_cause(program, "garbage", check_garbage);
	check_cause(program, "fragments", check_fragments);
	check_cause(program, "parked", check_parked);
	check_cause(program, "idle", check_idle);
	check_cause(program, "untouched", check_untouched);
	if (soak_count(0, 1))
		check_cause(program, "many", check_many);
}

static void
check_causes(const char *version)
{
	check_causes_of(go_program_without_cgo(version, "causes", "static", NULL));
}

static void
check_stripped(const char *version)
{
	static const char *const flags[] = {"-ldflags=-s -w", NULL};

	check_causes_of(go_program_without_cgo(version, "causes", "stripped", flags));
}

/* What C has allocated is told apart where its blocks are recorded. */
static void
check_malloc(const char *version)
{
	static const char *const flags[] = {"-ldflags=-s -w", NULL};
	const char *program = go_program(version, "causes", "stripped-cgo", flags);
	const char *trace = scratch_file("malloc.vmt");
	struct go_look look = {.said = NULL};
	struct run run;

	run_program(&run,
		    (const char *const[]){"sh", "-c",
					  "echo | GOMEMLIMIT=100MiB \"$0\" record -o \"$1\" -- "
					  "\"$2\" malloc",
					  built("vmtrace"), trace, program, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "report", trace, "--at", "end",
					  "--format", "json", NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	look.report = json_loads(run.out, 0, NULL);
	assert_non_null(look.report);
	run_free(&run);
	check_parts(&look);
	expect_cause(&look, "malloc", "C's malloc: neither GOGC nor GOMEMLIMIT bounds it.");
	assert_in_range(number(diagnosis(&look), "cause_bytes"), 1024 * 65000, 80 * MIB);
	expect_words(&look, "limit_text", "The memory limit (GOMEMLIMIT) is 100 MiB");
	expect_words(&look, "limit_text", "that is not Go's: with Go at its limit, RSS would be");
	json_decref(look.report);
}

/* Of a cgroup of 512 MiB, version 1 or 2; false: none can be made. */
static bool
make_cgroup(char *path, size_t bytes, const char *hierarchy, const char *limit)
{
	char name[256];
	FILE *file;
	bool written;

	snprintf(path, bytes, "%s/vmtrace-test-%d", hierarchy, (int)getpid());
	snprintf(name, sizeof(name), "%s/%s", path, limit);
	if (mkdir(path, 0755) != 0)
		return false;
	file = fopen(name, "w");
	written = file && fputs("536870912", file) >= 0;
	written = file && fclose(file) == 0 && written;
	if (!written)
		rmdir(path);
	return written;
}

/* What a recording in a cgroup says, with a GOMEMLIMIT. */
static void
expect_limit(const char *cgroup, const char *program, const char *limit, const char *words)
{
	const char *trace = scratch_file("limited.vmt");
	struct go_look look = {.said = NULL};

	shell("sh -c 'echo $$ >%s/cgroup.procs && echo | GOMEMLIMIT=%s exec \"%s\" record -o %s -- "
	      "%s live' >/dev/null 2>&1",
	      cgroup, limit, built("vmtrace"), trace, program);
	look.report = report(trace, (const char *const[]){"--at", "end", NULL});
	expect_words(&look, "limit_text", words);
	json_decref(look.report);
}

static void
test_knows_the_limit_of_its_cgroup(void **state)
{
	int64_t until_ms = now_ms() + 60000;
	const char *program;
	char cgroup[128];

	(void)state;
	go_need("1.24");
	if (!make_cgroup(cgroup, sizeof(cgroup), "/sys/fs/cgroup/memory",
			 "memory.limit_in_bytes") &&
	    !make_cgroup(cgroup, sizeof(cgroup), "/sys/fs/cgroup", "memory.max")) {
		printf("skip: no memory cgroup that may be written\n");
		skip();
	}
	program = go_program_without_cgo("1.24", "causes", "static", NULL);
	expect_limit(cgroup, program, "400MiB", ", of 512 MiB that the cgroup may have.");
	expect_limit(cgroup, program, "1GiB",
		     ", and the cgroup may have 512 MiB: a limit above about 51");
	expect_limit(cgroup, program, "off", "Go does not know that the cgroup may have 512 MiB.");
	while (rmdir(cgroup) != 0)
		assert_true(now_ms() < until_ms);
}

#define TESTS(id, version)                                                                         \
	TEST(causes, id, version)                                                                  \
	TEST(stripped, id, version)                                                                \
	TEST(changes, id, version)                                                                 \
	TEST(malloc, id, version)
#define TEST GO_TEST_FUNCTION
GO_VERSIONS(TESTS)
#undef TEST

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST GO_TEST_ENTRY
	    GO_VERSIONS(TESTS)
#undef TEST
		cmocka_unit_test(test_knows_the_limit_of_its_cgroup),
	};

	return go_run_tests(tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
