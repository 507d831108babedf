#include "collect/holes.h"

#include "base/assert.h"
#include "base/pages.h"

#include <linux/falloc.h>

/* Frees the blocks of whole pages in [start, end) of the file; its size stays. */
static void
punch(const struct vmt_traced *process, uint64_t start, uint64_t end)
{
	start = vmt_pages_up(start, VMT_PAGE_LEAST_BYTES);
	end = vmt_pages_down(end, VMT_PAGE_LEAST_BYTES);
	vmt_assert(start >= end || end <= process->layout.chunks_offset);
	if (start < end)
		vmt_sys_call4(SYS_fallocate, process->trace_fd,
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end - start);
}

/* Rings that lie side by side go in one call: each waits for the disk on some mounts. */
static void
punch_slots(const struct vmt_traced *process)
{
	uint64_t start = 0;
	uint64_t end = 0;

	for (uint32_t i = 0; i < process->drain.count; i++) {
		const struct vmt_drain_ring *ring = &process->drain.rings[i];
		uint64_t at = (uint64_t)(ring->view.slots - process->base);

		if (!vmt_drain_is_empty(ring))
			continue;
		vmt_assert(at >= end);
		if (at != end) {
			punch(process, start, end);
			start = at;
		}
		end = at + (uint64_t)ring->view.capacity * ring->view.slot_bytes;
	}
	punch(process, start, end);
}

/* What no reader needs: slots that chunks account for, the stack table's index, unused tails. */
void
vmt_holes_punch_all(const struct vmt_traced *process)
{
	const struct vmt_head *layout = &process->layout;
	const struct vmt_head *head = vmt_process_head(process);
	uint64_t words = vmt_atomic_load_acquire(&head->stack_words_used);
	uint64_t modules = vmt_atomic_load_acquire(&head->modules_used);

	punch_slots(process);
	punch(process, layout->stack_index_offset,
	      layout->stack_index_offset + layout->stack_index_entries * sizeof(uint64_t));
	if (words < layout->stack_words)
		punch(process, layout->stack_words_offset + words * sizeof(uint64_t),
		      layout->stack_words_offset + layout->stack_words * sizeof(uint64_t));
	if (modules < layout->modules_bytes)
		punch(process, layout->modules_offset + modules,
		      layout->modules_offset + layout->modules_bytes);
}
