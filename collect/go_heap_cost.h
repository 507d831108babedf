/*
 * go_heap_cost.h: may the inside of a Go heap be read now, by what that costs?
 *
 * A row is a span or a goroutine. What one takes is learned from the last reading that was large
 * enough to tell. A cheap heap is always read. A dear one is read where the snapshot allows it, and
 * else when so much time has passed since it was last read that it takes a hundredth of that.
 * Nanoseconds of CPU time, and of a monotonic clock. Single-threaded.
 */
#ifndef VMT_GO_HEAP_COST_H
#define VMT_GO_HEAP_COST_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_GO_HEAP_COST_ROW_NS UINT64_C(500) /* until a reading has told */
#define VMT_GO_HEAP_COST_ROW_MAX_NS UINT64_C(10000)
#define VMT_GO_HEAP_COST_TELLING_ROWS UINT64_C(2000)
#define VMT_GO_HEAP_COST_CHEAP_NS UINT64_C(1000000)
#define VMT_GO_HEAP_COST_PART UINT64_C(100)

struct vmt_go_heap_cost {
	uint64_t row_ns;   /* 0: not known */
	uint64_t since_ns; /* when it was last read, or first looked at; 0: never */
};

static inline uint64_t
vmt_go_heap_cost_of(const struct vmt_go_heap_cost *cost, uint64_t rows)
{
	return rows * (cost->row_ns ? cost->row_ns : VMT_GO_HEAP_COST_ROW_NS);
}

/* most_ns: what the snapshot allows. rows: at most 2^32. */
static inline bool
vmt_go_heap_cost_allows(struct vmt_go_heap_cost *cost, uint64_t rows, uint64_t most_ns,
			uint64_t now_ns)
{
	uint64_t needed_ns = vmt_go_heap_cost_of(cost, rows);

	if (cost->since_ns == 0)
		cost->since_ns = now_ns;
	return needed_ns <= VMT_GO_HEAP_COST_CHEAP_NS || needed_ns <= most_ns ||
	       (now_ns > cost->since_ns &&
		now_ns - cost->since_ns >= needed_ns * VMT_GO_HEAP_COST_PART);
}

/* A reading, whatever came of it, is over. */
static inline void
vmt_go_heap_cost_learn(struct vmt_go_heap_cost *cost, uint64_t rows, uint64_t spent_ns,
		       uint64_t now_ns)
{
	cost->since_ns = now_ns;
	if (rows < VMT_GO_HEAP_COST_TELLING_ROWS)
		return;
	cost->row_ns = spent_ns / rows + 1;
	if (cost->row_ns > VMT_GO_HEAP_COST_ROW_MAX_NS)
		cost->row_ns = VMT_GO_HEAP_COST_ROW_MAX_NS;
}

#endif
