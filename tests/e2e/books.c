/* books.c: see books.h. */
#include "tests/e2e/books.h"

#include <string.h>

static const char *const site_figures[] = {
    "count",	       "live_count",	       "reserved_bytes", "accessible_bytes",
    "committed_bytes", "total_reserved_bytes", "released_bytes", "released_committed_bytes"};

static bool
innermost_is(json_t *row, const char *function)
{
	json_t *frame = json_array_get(member(row, "frames"), 0);
	const char *name =
	    frame != NULL ? json_string_value(json_object_get(frame, "function")) : NULL;

	return name != NULL && strcmp(name, function) == 0;
}

/* Sum of a figure over the rows of an array that a function made. */
static int64_t
sum_rows(json_t *rows, const char *key, const char *value, const char *function, const char *figure)
{
	json_t *row;
	size_t i;
	int64_t sum = 0;

	json_array_foreach(rows, i,
			   row) if (strcmp(json_string_value(member(row, key)), value) == 0 &&
				    innermost_is(row, function)) sum += number(row, figure);
	return sum;
}

void
books_compare_sites(json_t *truth, json_t *root)
{
	json_t *site;
	size_t i;

	json_array_foreach(member(truth, "sites"), i, site)
	{
		const char *kind = json_string_value(member(site, "kind"));
		const char *function = json_string_value(member(site, "function"));

		for (size_t f = 0; f < sizeof(site_figures) / sizeof(site_figures[0]); f++) {
			int64_t want = number(site, site_figures[f]);
			int64_t have = sum_rows(member(root, "sites"), "kind", kind, function,
						site_figures[f]);

			if (want != have)
				fail_msg("%s: %s %s: %s is %lld in the report, %lld in truth",
					 json_string_value(member(truth, "program")), kind,
					 function, site_figures[f], (long long)have,
					 (long long)want);
		}
	}
}

void
books_compare_advice(json_t *truth, json_t *root)
{
	static const char *const figures[] = {"calls", "bytes", "committed_before_bytes"};
	json_t *row;
	size_t i;

	json_array_foreach(member(truth, "advice"), i, row)
	{
		const char *advice = json_string_value(member(row, "advice"));
		const char *function = json_string_value(member(row, "function"));

		for (size_t f = 0; f < 3; f++) {
			int64_t want = number(row, figures[f]);
			int64_t have = sum_rows(member(root, "advice"), "advice", advice, function,
						figures[f]);

			if (want != have)
				fail_msg("%s %s: %s is %lld in the report, %lld in truth", advice,
					 function, figures[f], (long long)have, (long long)want);
		}
	}
}
