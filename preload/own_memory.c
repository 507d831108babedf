#include "preload/own_memory.h"

#define PAGE_MASK (UINT64_C(4096) - 1)

/* The linker's names for the image that this code is part of. */
extern const char image_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char image_end[] __asm__("_end") __attribute__((visibility("hidden")));

/* Takes a range for the first part, where it lies in [start, end) and before what part says. */
static void
offer(struct vmt_own_range *part, uint64_t start, uint64_t end, struct vmt_own_range range)
{
	if (range.start < start)
		range.start = start;
	if (range.end > end)
		range.end = end;
	if (range.start < range.end && range.start < part->start)
		*part = range;
}

bool
vmt_own_memory_next(uint64_t start, uint64_t end, struct vmt_own_range *part)
{
	const struct vmt_process *process = &vmt_state_process;
	uint32_t count = vmt_atomic_load_relaxed(&process->own_count);
	struct vmt_own_range image = {
	    .start = (uint64_t)(uintptr_t)image_begin & ~PAGE_MASK,
	    .end = ((uint64_t)(uintptr_t)image_end + PAGE_MASK) & ~PAGE_MASK,
	};

	part->start = UINT64_MAX;
	offer(part, start, end, image);
	for (uint32_t index = 0; index < count && index < VMT_STATE_OWN_RANGES; index++)
		offer(part, start, end, process->own[index]);
	return part->start != UINT64_MAX;
}

/* A mapping of length bytes, or no mapping. */
static bool
meets(uint64_t start, uint64_t end, const void *mapping, uint64_t length)
{
	uint64_t address = (uint64_t)(uintptr_t)mapping;

	return mapping && start < address + ((length + PAGE_MASK) & ~PAGE_MASK) && end > address;
}

bool
vmt_own_memory_let_go(uint64_t start, uint64_t end)
{
	struct vmt_process *process = &vmt_state_process;

	if (vmt_atomic_load_relaxed(&vmt_state_owner->state) != VMT_OWNER_RECORDING)
		return false;
	if (!meets(start, end, process->head, process->head_mapped_bytes) &&
	    !meets(start, end, process->session, sizeof(*process->session)))
		return true;
	__atomic_fetch_or(&process->head->notes, VMT_NOTE_UNMAPPED, __ATOMIC_RELAXED);
	vmt_state_go_inert("the program unmapped the trace");
	return false;
}
