/*
 * top_table.h: how the rows of `vmtrace top` change from one reading to the next.
 *
 * Remembers the first reading and the last two of different moments, so memory is bounded by three
 * readings however long it runs. A row that a full reading did not have was then 0; where the
 * smallest rows were left out of one, the growth of a row that it lacks is not known. Bytes and
 * nanoseconds. One thread's.
 */
#ifndef VMT_TOP_TABLE_H
#define VMT_TOP_TABLE_H

#include "tools/top/top_reading.h"

enum vmt_top_order {
	VMT_TOP_BY_COMMITTED,
	VMT_TOP_BY_GROWTH,
	VMT_TOP_BY_RATE,
	VMT_TOP_BY_RESERVED,
	VMT_TOP_ORDERS
};

/* The words of --sort, by enum vmt_top_order; ends with NULL. */
extern const char *const vmt_top_orders[];

struct vmt_top_row {
	const struct vmt_top_item *item;
	int64_t growth_bytes; /* in RAM, since the first reading */
	int64_t rate_bytes;   /* ... a second, between the last two snapshots */
	bool growth_known;
	bool rate_known;
};

struct vmt_top_table {
	struct vmt_top_reading now;
	struct vmt_top_reading before; /* the last one of an earlier moment */
	struct vmt_top_reading first;
	bool has_before;
	bool has_first;
	size_t readings; /* taken so far */
};

/* Moves the reading into the table, which starts as zeros. */
void vmt_top_table_take(struct vmt_top_table *table, struct vmt_top_reading *reading);
void vmt_top_table_free(struct vmt_top_table *table);

/* The rows of a view whose kind, name or callers have the filter in them (NULL or "": all), in
 * order; *count of them. To be freed; valid until the next take. NULL: no memory. */
struct vmt_top_row *vmt_top_table_rows(const struct vmt_top_table *table, enum vmt_top_view view,
				       enum vmt_top_order order, const char *filter, size_t *count);

/* Of RSS: false where it is not known yet. */
bool vmt_top_table_growth(const struct vmt_top_table *table, int64_t *growth_bytes,
			  int64_t *over_ns);
bool vmt_top_table_rate(const struct vmt_top_table *table, int64_t *rate_bytes);

#endif
