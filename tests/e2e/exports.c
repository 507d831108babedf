/* exports.c: see exports.h. */
#include "tests/e2e/exports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const exports_metrics[EXPORTS_METRICS] = {
    "alloc_objects",  "alloc_space",   "inuse_objects",	 "inuse_space",
    "released_space", "swapped_space", "committed_space"};

static uint64_t
figure(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("no number %s", key);
	return (uint64_t)json_integer_value(value);
}

static uint64_t
sum_of_sites(json_t *report, const char *key)
{
	json_t *sites = json_object_get(report, "sites");
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(sites); i++)
		sum += figure(json_array_get(sites, i), key);
	return sum;
}

void
exports_expect(json_t *report, uint64_t totals[EXPORTS_METRICS])
{
	json_t *snapshot = json_object_get(report, "snapshot");

	totals[0] = sum_of_sites(report, "count");
	totals[1] = sum_of_sites(report, "total_reserved_bytes");
	totals[2] = sum_of_sites(report, "live_count");
	totals[3] = figure(snapshot, "virtual_bytes");
	totals[4] = sum_of_sites(report, "released_bytes");
	totals[5] = figure(snapshot, "swap_bytes");
	totals[6] = figure(snapshot, "rss_bytes");
}

void
exports_write(const char *trace, const char *format, const char *path, const char *option,
	      const char *value)
{
	const char *const argv[] = {
	    built("vmtrace"), "report", trace, "--format", format, "-o", path, option, value, NULL};
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s: %s", format, run.err);
	assert_string_equal(run.out, "");
	run_free(&run);
}

uint64_t
exports_sum_lines(const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	uint64_t sum = 0;

	assert_non_null(file);
	while (getline(&line, &room, file) > 0) {
		const char *number = strrchr(line, ' ');

		assert_non_null(number);
		sum += strtoull(number, NULL, 10);
	}
	free(line);
	fclose(file);
	return sum;
}
