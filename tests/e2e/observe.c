/* observe.c: see observe.h. */
#include "tests/e2e/observe.h"

#include "tests/e2e/books.h"
#include "tests/e2e/identities.h"
#include "tests/e2e/living.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static int64_t
rollup_rss(int64_t pid)
{
	char path[64];
	char text[4096];
	unsigned long kib = 0;

	snprintf(path, sizeof(path), "/proc/%lld/smaps_rollup", (long long)pid);
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	while (fgets(text, sizeof(text), file) != NULL)
		if (sscanf(text, "Rss: %lu kB", &kib) == 1)
			break;
	fclose(file);
	return (int64_t)kib * 1024;
}

/* resident_bytes of the trace's snapshot that was asked for from outside. */
static int64_t
requested_rss(const char *trace)
{
	json_t *snapshots = dump(trace, "snapshot");
	json_t *row;
	size_t i;
	int64_t found = -1;

	json_array_foreach(snapshots, i, row)
	{
		if (strcmp(json_string_value(member(row, "reason")), "request") == 0)
			found = number(row, "resident_bytes");
	}
	json_decref(snapshots);
	return found;
}

void
observe(const char *program, const char *argument)
{
	static struct conversation talk;
	const char *trace = scratch_file("behaviour.vmt");
	char target[4096];

	snprintf(target, sizeof(target), "tests/target/%s", program);
	const char *const argv[] = {built("vmtrace"), "record", "-o", trace,
				    "--malloc",	      "all",	"--", built(target),
				    argument,	      NULL};

	converse_start(&talk, argv, NULL);
	converse_read_line(&talk);
	json_t *truth = json_loads(talk.line, 0, NULL);

	assert_non_null(truth);
	living_snapshot(trace);
	int64_t outside = rollup_rss(number(truth, "pid"));

	assert_int_equal(WEXITSTATUS(converse_end(&talk)), 0);
	assert_int_equal(requested_rss(trace), outside);

	json_t *root = report(trace, (const char *const[]){"--at", "end", NULL});

	check_report(root);
	identities_check(root, program);
	books_compare_sites(truth, root);
	books_compare_advice(truth, root);
	assert_int_equal(number(member(root, "loss"), "events_dropped"), 0);
	assert_int_equal(number(member(root, "totals"), "double_acquisitions"), 0);
	assert_int_equal(number(member(root, "totals"), "unknown_releases"), 0);
	json_decref(root);
	json_decref(truth);
}
