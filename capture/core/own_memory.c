#include "capture/core/own_memory.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/pages.h"
#include "base/sys.h"
#include "format/head.h"

#include <sys/mman.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct vmt_own_memory vmt_own_memory;

static size_t
round_to_pages(size_t bytes)
{
	return vmt_pages_up(bytes, vmt_page_bytes);
}

void
vmt_own_memory_add(uint64_t start, uint64_t bytes)
{
	uint32_t index = vmt_atomic_add_relaxed(&vmt_own_memory.count, 1);

	vmt_assert(start != 0 && start < start + bytes);
	if (index < VMT_OWN_MEMORY_RANGES)
		vmt_own_memory.ranges[index] = (struct vmt_own_range){start, start + bytes};
}

/* A range is cut at its end, or is none any more. */
void
vmt_own_memory_drop(uint64_t start, uint64_t bytes)
{
	uint32_t count = vmt_atomic_load_relaxed(&vmt_own_memory.count);

	vmt_assert(vmt_pages_down(start, vmt_page_bytes) == start);
	for (uint32_t i = 0; i < count && i < VMT_OWN_MEMORY_RANGES; i++) {
		struct vmt_own_range *range = &vmt_own_memory.ranges[i];

		if (start >= range->start && start < range->end &&
		    start + round_to_pages(bytes) >= range->end)
			vmt_atomic_store_relaxed(&range->end, start);
	}
}

void *
vmt_own_memory_map(size_t bytes)
{
	size_t length = round_to_pages(bytes);
	bool locked = vmt_own_memory.locks_future;
	void *memory;

	if (length < bytes)
		return NULL;
	memory = vmt_sys_mmap(NULL, length, locked ? PROT_NONE : PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vmt_sys_failed(memory))
		return NULL;
	/* What the kernel locks by itself it makes resident as well, where it can be read. */
	if (locked) {
		vmt_sys_call2(SYS_munlock, memory, length);
		vmt_sys_call3(SYS_mprotect, memory, length, PROT_READ | PROT_WRITE);
	}
	return memory;
}

void *
vmt_own_memory_map_listed(size_t bytes)
{
	void *memory = vmt_own_memory_map(bytes);

	if (memory)
		vmt_own_memory_add((uint64_t)(uintptr_t)memory, round_to_pages(bytes));
	return memory;
}

bool
vmt_own_memory_wipe_on_fork(void *memory, size_t bytes)
{
	return vmt_sys_call3(SYS_madvise, memory, round_to_pages(bytes), MADV_WIPEONFORK) == 0;
}
