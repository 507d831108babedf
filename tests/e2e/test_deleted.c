/*
 * test_deleted.c: does a trace keep its classes when the files that it names are gone?
 *
 * A program, an allocator's library and libvmtrace.so, all copies, are recorded; then the copies
 * are deleted, or other programs put in their place, and the trace is renamed. Every byte of every
 * class, row, file and advice stays where it was; only names may be lost, and the report says so.
 */
#include "tests/e2e/harness.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"

struct program {
	const char *target;
	const char *argument;
	const char *allocator; /* a library to be preloaded as well */
	const char *named;     /* what its copy is called */
	bool by_name;	       /* the copy's name tells which allocator it is */
};

static const struct program programs[] = {
    {"retained", NULL, NULL, NULL, true},
    {"thread_owners", "arenas", NULL, NULL, true},
    {"linked_allocator", NULL, NULL, NULL, true},
    {"cxx_threads", NULL, NULL, NULL, true},
    {"retained", NULL, LIBRARIES "libjemalloc.so.2", "libjemalloc.so.2", true},
    {"retained", NULL, LIBRARIES "libtcmalloc_minimal.so.4", "libtcmalloc_minimal.so.4", true},
    {"retained", NULL, LIBRARIES "libmimalloc.so.2", "libmimalloc.so.2", true},
    {"retained", NULL, LIBRARIES "libjemalloc.so.2", "libown.so", false},
};

static const char *const modes[] = {"off", "sampled", "all"};

#define EACH(list, item) for (size_t item = 0; item < sizeof(list) / sizeof((list)[0]); item++)

static void
copy(const char *from, const char *to)
{
	struct run run;

	run_program(&run, (const char *const[]){"cp", "-L", "--remove-destination", from, to, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
}

static const char *
copied(const char *name)
{
	char sub[256];

	snprintf(sub, sizeof(sub), "copies/%s", name);
	mkdir(scratch_file("copies"), 0700);
	return scratch_file(sub);
}

static void
record_copies(const struct program *program, const char *mode, const char *trace)
{
	char target[256];
	char preload[8192];
	struct run run;

	snprintf(target, sizeof(target), "tests/target/%s", program->target);
	copy(built(target), copied("program"));
	copy(built("libvmtrace.so"), copied("libvmtrace.so"));
	snprintf(preload, sizeof(preload), "%s", copied("libvmtrace.so"));
	if (program->allocator) {
		copy(program->allocator, copied(program->named));
		snprintf(preload, sizeof(preload), "%s:%s", copied("libvmtrace.so"),
			 copied(program->named));
	}
	run_program(&run, (const char *const[]){copied("program"), program->argument, NULL},
		    (const char *const[]){variable("LD_PRELOAD", preload),
					  variable("VMTRACE_MALLOC", mode),
					  variable("VMTRACE_OUTPUT", trace), NULL});
	if (run.exit_status != 0)
		fail_msg("%s: status %d: %s", program->target, run.exit_status, run.err);
	run_free(&run);
}

/* What of a report does not depend on names. */
static json_t *
figures_of(const char *trace, const char *moment, bool by_name)
{
	static const char *const whole[] = {"snapshot", "totals", "classes", "retained", "files"};
	static const char *const left_out[] = {"frames", "cause"};
	json_t *root = report(trace, (const char *const[]){"--at", moment, NULL});
	json_t *figures = json_object();
	json_t *row;
	size_t i;

	check_report(root);
	EACH(whole, key) json_object_set(figures, whole[key], member(root, whole[key]));
	/* Where only its functions' names tell which one it is, these go with its file. */
	if (!by_name)
		json_object_del(member(root, "retained"), "allocator");
	json_array_foreach(member(root, "sites"), i, row) json_object_del(row, left_out[0]);
	json_array_foreach(member(root, "advice"), i, row) EACH(left_out, key)
	    json_object_del(row, left_out[key]);
	json_object_set(figures, "sites", member(root, "sites"));
	json_object_set(figures, "advice", member(root, "advice"));
	json_decref(root);
	return figures;
}

/* Rows stand in an order that names may decide. */
static int
compare_texts(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static char *
text_of(json_t *figures)
{
	static const char *const lists[] = {"sites", "advice", "files"};
	char *text;

	EACH(lists, list)
	{
		json_t *rows = member(figures, lists[list]);
		size_t count = json_array_size(rows);
		char **texts = calloc(count + 1, sizeof(*texts));

		assert_non_null(texts);
		for (size_t i = 0; i < count; i++)
			texts[i] = json_dumps(json_array_get(rows, i), JSON_SORT_KEYS);
		qsort(texts, count, sizeof(*texts), compare_texts);
		json_array_clear(rows);
		for (size_t i = 0; i < count; i++) {
			json_array_append_new(rows, json_string(texts[i]));
			free(texts[i]);
		}
		free(texts);
	}
	text = json_dumps(figures, JSON_SORT_KEYS | JSON_INDENT(1));
	json_decref(figures);
	return text;
}

static void
compare(const char *before, const char *trace, const char *moment, const struct program *program,
	const char *mode)
{
	char *after = text_of(figures_of(trace, moment, program->by_name));
	size_t same = 0;

	while (before[same] && before[same] == after[same])
		same++;
	if (before[same] || after[same]) {
		while (same > 0 && before[same - 1] != '\n')
			same--;
		fail_msg("%s with %s in %s, %s: before: %.300s\nafter: %.300s", program->target,
			 program->named ? program->named : "glibc", mode, moment, before + same,
			 after + same);
	}
	free(after);
}

static void
remove_copies(const struct program *program)
{
	unlink(copied("program"));
	unlink(copied("libvmtrace.so"));
	if (program->allocator)
		unlink(copied(program->named));
}

static void
replace_copies(const struct program *program)
{
	copy("/bin/true", copied("program"));
	copy("/bin/true", copied("libvmtrace.so"));
	if (program->allocator)
		copy("/bin/true", copied(program->named));
}

static void
check_program(const struct program *program, const char *mode)
{
	static const char *const moments[] = {"end", "peak"};
	char trace[4096];
	char renamed[4096];
	char *before[2];

	snprintf(trace, sizeof(trace), "%s/deleted.vmt", scratch());
	snprintf(renamed, sizeof(renamed), "%s/another-name", scratch());
	record_copies(program, mode, trace);
	EACH(moments, i) before[i] = text_of(figures_of(trace, moments[i], program->by_name));
	assert_int_equal(rename(trace, renamed), 0);
	EACH(moments, i)
	{
		compare(before[i], renamed, moments[i], program, mode);
		remove_copies(program);
		compare(before[i], renamed, moments[i], program, mode);
		replace_copies(program);
		compare(before[i], renamed, moments[i], program, mode);
		free(before[i]);
		remove_copies(program);
	}
	unlink(renamed);
}

static void
test_classes_stay_without_files(void **state)
{
	(void)state;
	EACH(programs, i)
	{
		if (programs[i].allocator && access(programs[i].allocator, R_OK) != 0) {
			print_message("skip: %s is not there\n", programs[i].allocator);
			continue;
		}
		for (size_t mode = 0; mode < (size_t)soak_count(1, 3); mode++)
			check_program(&programs[i], modes[(i + mode) % 3]);
	}
}

static void
test_linked_allocator_is_told_apart(void **state)
{
	const struct program *program = &programs[2];
	const char *trace = scratch_file("linked.vmt");
	json_t *truth, *root;
	struct run run;

	(void)state;
	record(&run, trace, NULL,
	       (const char *const[]){built("tests/target/linked_allocator"), NULL});
	assert_int_equal(run.exit_status, 0);
	truth = json_loads(run.out, 0, NULL);
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	assert_string_equal(program->target, "linked_allocator");
	assert_int_equal(site_sum(root, "mmap", "je_pages_map", "committed_bytes"),
			 number(member(truth, "figures"), "allocators"));
	assert_int_equal(class_committed(root, "mmap"), number(member(truth, "figures"), "own"));
	json_decref(root);
	json_decref(truth);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_classes_stay_without_files),
	    cmocka_unit_test(test_linked_allocator_is_told_apart),
	};

	return cmocka_run_group_tests_name("deleted", tests, NULL, NULL);
}
