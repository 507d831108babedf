#include "collect/untraced_notes.h"

#include "base/assert.h"
#include "collect/trace_clock.h"

/* A fork child with so much of its own is worth a trace, however early it ends. */
#define OWN_BYTES (UINT64_C(1) << 20)

static bool
is_recorded(const struct vmt_traced *process)
{
	return process->state == VMT_PROCESS_LIVE || process->state == VMT_PROCESS_UNSEEN;
}

/* The one that fits best: who forked it, its parent by pid, the first process. */
static struct vmt_traced *
find_keeper(const struct vmt_shared *shared, const struct vmt_untraced *record,
	    const struct vmt_untraced_notes_kin *kin)
{
	struct vmt_traced *parent = NULL;
	struct vmt_traced *first = NULL;

	for (uint32_t i = 0; shared->used && i < *shared->used; i++) {
		struct vmt_traced *one = shared->processes[i];

		if (one->random_id == record->random_id || !is_recorded(one) || one->unnamed)
			continue;
		if (kin->forked_from != 0 && one->random_id == kin->forked_from)
			return one;
		if (one->pid == kin->parent_pid)
			parent = one;
		if (one->pid == shared->first_pid)
			first = one;
	}
	return parent ? parent : first;
}

void
vmt_untraced_notes_add(struct vmt_traced *keeper, const struct vmt_untraced *record)
{
	vmt_assert(keeper->untraced_count <= VMT_UNTRACED_HELD);
	if (keeper->untraced_count == VMT_UNTRACED_HELD && vmt_untraced_notes_flush(keeper) < 0) {
		keeper->untraced_lost = true;
		return;
	}
	keeper->untraced[keeper->untraced_count++] = *record;
}

struct vmt_untraced
vmt_untraced_notes_of(const struct vmt_traced *process, enum vmt_untraced_why why, uint64_t end_ns)
{
	const struct vmt_sampling *sampling = &process->sampling;
	uint64_t peak = sampling->peak_rss_bytes;
	uint64_t own = sampling->most_private_bytes;

	return (struct vmt_untraced){
	    .start_ns = process->layout.clock_start.monotonic_ns,
	    .end_ns = end_ns,
	    .random_id = process->random_id,
	    .rss_bytes = peak ? peak : VMT_FIGURE_UNKNOWN,
	    .private_bytes = own ? own : VMT_FIGURE_UNKNOWN,
	    .pid = process->pid,
	    .why = why,
	};
}

void
vmt_untraced_notes_process(struct vmt_shared *shared, const struct vmt_traced *process,
			   enum vmt_untraced_why why, uint64_t end_ns)
{
	struct vmt_untraced record = vmt_untraced_notes_of(process, why, end_ns);
	struct vmt_untraced_notes_kin kin = {process->layout.forked_from,
					     process->layout.parent_pid};

	vmt_untraced_notes_lost(shared, &record, &kin);
}

void
vmt_untraced_notes_lost(struct vmt_shared *shared, const struct vmt_untraced *record,
			const struct vmt_untraced_notes_kin *kin)
{
	struct vmt_traced *keeper = find_keeper(shared, record, kin);

	if (keeper)
		vmt_untraced_notes_add(keeper, record);
}

void
vmt_untraced_notes_children(struct vmt_shared *shared, struct vmt_traced *parent)
{
	bool may_remove = shared->host->max_files != 0 || shared->host->min_rss_bytes != 0;

	for (uint32_t i = 0; shared->used && i < *shared->used; i++) {
		const struct vmt_traced *one = shared->processes[i];
		struct vmt_untraced record;

		if (!is_recorded(one) || one->layout.forked_from != parent->random_id ||
		    !(one->unnamed || may_remove))
			continue;
		record = vmt_untraced_notes_of(
		    one, one->unnamed ? VMT_UNTRACED_EARLY : VMT_UNTRACED_REMOVED,
		    VMT_UNTRACED_RUNS);
		vmt_untraced_notes_add(parent, &record);
	}
}

bool
vmt_untraced_notes_has_own(const struct vmt_traced *process)
{
	const struct vmt_sampling *sampling = &process->sampling;
	uint64_t fault_bytes = sampling->faults * process->layout.page_bytes;

	if (sampling->most_private_bytes != 0)
		return sampling->most_private_bytes >= OWN_BYTES;
	return fault_bytes >= OWN_BYTES;
}

int
vmt_untraced_notes_flush(struct vmt_traced *keeper)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_UNTRACED,
				  .record_bytes = sizeof(struct vmt_untraced)};
	int result;

	if (keeper->trace_closed)
		return -EBADF;
	if (keeper->untraced_lost)
		vmt_atomic_or_relaxed(&vmt_process_head(keeper)->notes, VMT_NOTE_CHILD_UNSEEN);
	keeper->untraced_lost = false;
	if (keeper->untraced_count == 0)
		return 0;
	chunk.time_min = chunk.time_max = vmt_trace_clock_now(keeper->layout.clock);
	result = vmt_writer_append(&keeper->writer, &chunk, keeper->untraced,
				   keeper->untraced_count * sizeof(keeper->untraced[0]));
	if (result == 0)
		keeper->untraced_count = 0;
	return result;
}
