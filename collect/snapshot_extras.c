#include "collect/snapshot_extras.h"

#include "base/ticks.h"
#include "collect/go_heap_reader.h"
#include "collect/go_profile_writer.h"

#define MILLISECOND UINT64_C(1000000)

/* What reading smaps_rollup costs, and stalls the target's own mapping calls for. */
#define ROLLUP_NS_PER_MIB (12 * MILLISECOND / 1024)
#define ROLLUP_EXIT_MAX_BYTES (UINT64_C(4) << 30)
#define ROLLUP_SHORT_NS (2 * MILLISECOND)
#define ROLLUP_PERIODIC_NS (12 * MILLISECOND)
#define ROLLUP_REQUEST_NS (100 * MILLISECOND)

/* What telling shared pages costs beyond the scan. Nobody waits for a snapshot that is due, a
 * process that ends does, and one that grows has the next one soon. */
#define SHARES_NS_PER_MIB (9 * MILLISECOND / 1024)
#define SHARES_SHORT_NS (2 * MILLISECOND)
#define SHARES_EXIT_NS (2 * MILLISECOND)
#define SHARES_REQUEST_NS (100 * MILLISECOND)

/* The inside of a Go heap. One that ends waits for its last snapshot for a tenth of its life, and
 * for 20 ms at least, unless it was asked not to: half of that is for the pages. */
#define GO_HEAP_EXIT_NS (10 * MILLISECOND)
#define GO_HEAP_EXIT_PART 20u
#define GO_HEAP_EXIT_MOST_NS (250 * MILLISECOND)
#define GO_HEAP_REQUEST_NS (1000 * MILLISECOND)

/* Pss, where other processes of the tree may share pages. The process's mapping calls wait for one
 * reading, and one that ends waits for it. */
static bool
pays_for_proportion(const struct vmt_shared *shared, uint32_t reason, uint64_t cost_ns)
{
	switch (reason) {
	case VMT_SNAPSHOT_EXIT:
		return cost_ns <= ROLLUP_SHORT_NS;
	case VMT_SNAPSHOT_REQUEST:
		return cost_ns <= ROLLUP_REQUEST_NS;
	case VMT_SNAPSHOT_PERIODIC:
		return cost_ns <= ROLLUP_PERIODIC_NS &&
		       shared->credit.left_ns > (int64_t)(2 * cost_ns);
	default:
		return cost_ns <= ROLLUP_SHORT_NS &&
		       shared->credit.left_ns > (int64_t)(8 * cost_ns);
	}
}

/* Only where it can tell what nothing else does: Pss, LazyFree pages, or, for a source that does
 * not know them, huge ones. */
bool
vmt_snapshot_extras_rollup(const struct vmt_traced *process, const struct vmt_shared *shared,
			   uint32_t reason, bool asked_for)
{
	const struct vmt_sampling *sampling = &process->sampling;
	uint64_t cost_ns = (sampling->rss_bytes >> 20) * ROLLUP_NS_PER_MIB;

	if (shared->is_tree && pays_for_proportion(shared, reason, cost_ns))
		return true;
	if (!process->drain.freed_lazily && shared->source == VMT_RESIDENCY_PAGEMAP_SCAN)
		return false;
	if (asked_for)
		return sampling->rss_bytes <= ROLLUP_EXIT_MAX_BYTES;
	return cost_ns <= ROLLUP_SHORT_NS && shared->credit.left_ns > (int64_t)(8 * cost_ns);
}

bool
vmt_snapshot_extras_shares(const struct vmt_traced *process, const struct vmt_shared *shared,
			   uint32_t reason)
{
	uint64_t cost_ns = (process->sampling.rss_bytes >> 20) * SHARES_NS_PER_MIB;

	switch (reason) {
	case VMT_SNAPSHOT_EXIT:
		return cost_ns <= SHARES_EXIT_NS;
	case VMT_SNAPSHOT_REQUEST:
		return cost_ns <= SHARES_REQUEST_NS;
	case VMT_SNAPSHOT_PERIODIC:
		return shared->credit.left_ns > (int64_t)(2 * cost_ns);
	default:
		return cost_ns <= SHARES_SHORT_NS &&
		       shared->credit.left_ns > (int64_t)(8 * cost_ns);
	}
}

static uint64_t
go_heap_exit_ns(const struct vmt_traced *process, uint64_t now_ns)
{
	uint64_t began_ns = process->layout.clock_start.monotonic_ns;
	uint64_t part_ns = now_ns > began_ns ? (now_ns - began_ns) / GO_HEAP_EXIT_PART : 0;

	if (part_ns > GO_HEAP_EXIT_MOST_NS)
		return GO_HEAP_EXIT_MOST_NS;
	return part_ns > GO_HEAP_EXIT_NS ? part_ns : GO_HEAP_EXIT_NS;
}

static uint64_t
go_heap_ns(const struct vmt_traced *process, const struct vmt_shared *shared, uint32_t reason)
{
	switch (reason) {
	case VMT_SNAPSHOT_EXIT:
		return go_heap_exit_ns(process, vmt_ticks_monotonic_ns());
	case VMT_SNAPSHOT_REQUEST:
		return GO_HEAP_REQUEST_NS;
	default:
		return shared->credit.left_ns > 0 ? (uint64_t)shared->credit.left_ns / 2 : 0;
	}
}

static void
read_go_heap(struct vmt_traced *process, struct vmt_shared *shared, uint32_t reason)
{
	struct vmt_go_heap_job job = {.head = vmt_process_head(process),
				      .pid = process->pid,
				      .maps_fd = process->maps_fd,
				      .snapshot = process->sampling.snapshots,
				      .most_ns = go_heap_ns(process, shared, reason),
				      .cost = &process->sampling.go_heap,
				      .pause = shared->pause,
				      .context = shared->context};

	(void)vmt_go_heap_reader_take(&job, &process->writer);
}

/* Beside the heap it is small. */
static void
read_go_profile(struct vmt_traced *process, struct vmt_shared *shared, uint32_t reason)
{
	struct vmt_go_profile_job job = {.head = vmt_process_head(process),
					 .pid = process->pid,
					 .maps_fd = process->maps_fd,
					 .snapshot = process->sampling.snapshots,
					 .most_ns = go_heap_ns(process, shared, reason) / 4,
					 .state = &process->sampling.go_profile,
					 .pause = shared->pause,
					 .context = shared->context};

	(void)vmt_go_profile_writer_take(&job, &process->writer);
}

void
vmt_snapshot_extras_read_go(struct vmt_traced *process, struct vmt_shared *shared, uint32_t reason)
{
	read_go_heap(process, shared, reason);
	read_go_profile(process, shared, reason);
}
