#include "tools/top/top_table.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000.0

const char *const vmt_top_orders[] = {"resident", "growth", "rate", "reserved", NULL};

static int
by_key(const void *left, const void *right)
{
	const struct vmt_top_item *a = left;
	const struct vmt_top_item *b = right;

	return (a->key > b->key) - (a->key < b->key);
}

static void
sort_by_key(struct vmt_top_reading *reading)
{
	for (size_t view = 0; view < VMT_TOP_VIEWS; view++)
		if (reading->counts[view])
			qsort(reading->items[view], reading->counts[view],
			      sizeof(struct vmt_top_item), by_key);
}

/* A copy with what later readings are compared with: rows by their keys. */
static bool
copy_reading(struct vmt_top_reading *copy, const struct vmt_top_reading *reading)
{
	*copy = *reading;
	for (size_t view = 0; view < VMT_TOP_VIEWS; view++)
		copy->items[view] = NULL;
	for (size_t view = 0; view < VMT_TOP_VIEWS; view++) {
		size_t bytes = reading->counts[view] * sizeof(struct vmt_top_item);

		copy->items[view] = malloc(bytes + 1);
		if (!copy->items[view]) {
			vmt_top_reading_free(copy);
			return false;
		}
		if (bytes)
			memcpy(copy->items[view], reading->items[view], bytes);
	}
	return true;
}

static bool
is_of_another_moment(const struct vmt_top_reading *now, const struct vmt_top_reading *reading)
{
	return now->has_snapshot && !now->is_partial && now->time_ns != reading->time_ns;
}

void
vmt_top_table_take(struct vmt_top_table *table, struct vmt_top_reading *reading)
{
	if (is_of_another_moment(&table->now, reading)) {
		vmt_top_reading_free(&table->before);
		table->before = table->now;
		table->has_before = true;
	} else {
		vmt_top_reading_free(&table->now);
	}
	sort_by_key(reading);
	table->now = *reading;
	*reading = (struct vmt_top_reading){.pid = 0};
	table->readings++;
	if (!table->has_first && table->now.has_snapshot && !table->now.is_partial)
		table->has_first = copy_reading(&table->first, &table->now);
}

void
vmt_top_table_free(struct vmt_top_table *table)
{
	vmt_top_reading_free(&table->now);
	vmt_top_reading_free(&table->before);
	vmt_top_reading_free(&table->first);
}

/* What a row had in an earlier reading. */
static bool
find_earlier(const struct vmt_top_reading *earlier, enum vmt_top_view view,
	     const struct vmt_top_item *item, uint64_t *committed_bytes)
{
	const struct vmt_top_item *found = NULL;

	if (earlier->counts[view])
		found = bsearch(item, earlier->items[view], earlier->counts[view], sizeof(*found),
				by_key);
	*committed_bytes = found ? found->committed_bytes : 0;
	return found || earlier->left_out[view] == 0;
}

static int64_t
difference(uint64_t now, uint64_t before)
{
	return (int64_t)(now - before);
}

static int64_t
per_second(int64_t bytes, int64_t over_ns)
{
	return over_ns > 0 ? (int64_t)((double)bytes * NS_PER_S / (double)over_ns) : 0;
}

static struct vmt_top_row
row_of(const struct vmt_top_table *table, enum vmt_top_view view, const struct vmt_top_item *item)
{
	struct vmt_top_row row = {.item = item};
	uint64_t earlier;

	if (table->has_first) {
		row.growth_known = find_earlier(&table->first, view, item, &earlier);
		row.growth_bytes = difference(item->committed_bytes, earlier);
	}
	if (table->has_before) {
		row.rate_known = find_earlier(&table->before, view, item, &earlier);
		row.rate_bytes = per_second(difference(item->committed_bytes, earlier),
					    table->now.time_ns - table->before.time_ns);
	}
	return row;
}

static bool
is_wanted(const struct vmt_top_item *item, const char *filter)
{
	return !filter || !*filter || strcasestr(item->name, filter) ||
	       strcasestr(item->callers, filter) || strcasestr(item->kind, filter);
}

static int
compare(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

/* Largest first; equal ones by what is in RAM, then always in the same order. */
static int
compare_rows(const struct vmt_top_row *a, const struct vmt_top_row *b, enum vmt_top_order order)
{
	int result = 0;

	if (order == VMT_TOP_BY_GROWTH)
		result = compare(a->growth_known ? a->growth_bytes : INT64_MIN,
				 b->growth_known ? b->growth_bytes : INT64_MIN);
	else if (order == VMT_TOP_BY_RATE)
		result = compare(a->rate_known ? a->rate_bytes : INT64_MIN,
				 b->rate_known ? b->rate_bytes : INT64_MIN);
	else if (order == VMT_TOP_BY_RESERVED)
		result =
		    compare((int64_t)a->item->reserved_bytes, (int64_t)b->item->reserved_bytes);
	if (result == 0)
		result =
		    compare((int64_t)a->item->committed_bytes, (int64_t)b->item->committed_bytes);
	return result ? result : by_key(a->item, b->item);
}

static int
order_rows(const void *left, const void *right, void *order)
{
	return compare_rows(left, right, *(const enum vmt_top_order *)order);
}

struct vmt_top_row *
vmt_top_table_rows(const struct vmt_top_table *table, enum vmt_top_view view,
		   enum vmt_top_order order, const char *filter, size_t *count)
{
	size_t all = table->now.counts[view];
	struct vmt_top_row *rows = calloc(all + 1, sizeof(*rows));

	*count = 0;
	if (!rows)
		return NULL;
	for (size_t i = 0; i < all; i++)
		if (is_wanted(&table->now.items[view][i], filter))
			rows[(*count)++] = row_of(table, view, &table->now.items[view][i]);
	qsort_r(rows, *count, sizeof(*rows), order_rows, &order);
	return rows;
}

bool
vmt_top_table_growth(const struct vmt_top_table *table, int64_t *growth_bytes, int64_t *over_ns)
{
	*growth_bytes = difference(table->now.rss_bytes, table->first.rss_bytes);
	*over_ns = table->now.time_ns - table->first.time_ns;
	return table->has_first && *over_ns > 0;
}

bool
vmt_top_table_rate(const struct vmt_top_table *table, int64_t *rate_bytes)
{
	*rate_bytes = per_second(difference(table->now.rss_bytes, table->before.rss_bytes),
				 table->now.time_ns - table->before.time_ns);
	return table->has_before;
}
