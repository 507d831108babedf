#include "capture/modules/module_list.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/roomy.h"

#include <stddef.h>

#define FIND_TRIES 4

static VMT_ROOMY struct vmt_module_list lists[2];
static uint64_t published;
static uint64_t writing;

/* The first entry at or above `low`. */
static uint64_t
lower_bound(const struct vmt_module_list *list, uint64_t low)
{
	uint64_t count = vmt_atomic_load_relaxed(&list->count);
	uint64_t first = 0;

	while (count > 0) {
		uint64_t half = count / 2;

		if (vmt_atomic_load_relaxed(&list->entries[first + half].low) < low) {
			vmt_assert(half < count);
			first += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return first;
}

static bool
search(const struct vmt_module_list *list, uint64_t address, struct vmt_loaded_module *module)
{
	uint64_t after = lower_bound(list, address + 1);
	const struct vmt_module_entry *entry;

	if (after == 0)
		return false;
	entry = &list->entries[after - 1];
	*module = (struct vmt_loaded_module){
	    .low = vmt_atomic_load_relaxed(&entry->low),
	    .high = vmt_atomic_load_relaxed(&entry->high),
	    .bias = vmt_atomic_load_relaxed(&entry->bias),
	    .eh_frame_hdr = vmt_atomic_load_relaxed(&entry->eh_frame_hdr),
	    .eh_frame_hdr_bytes = vmt_atomic_load_relaxed(&entry->eh_frame_hdr_bytes),
	    .frames_low = vmt_atomic_load_relaxed(&entry->frames_low),
	    .frames_high = vmt_atomic_load_relaxed(&entry->frames_high),
	    .id = (uint32_t)vmt_atomic_load_relaxed(&entry->id),
	};
	return address >= module->low && address < module->high;
}

bool
vmt_module_list_find(uint64_t address, struct vmt_loaded_module *module)
{
	for (int i = 0; i < FIND_TRIES; i++) {
		uint64_t generation = vmt_atomic_load_acquire(&published);
		bool found = search(&lists[generation & 1], address, module);

		vmt_atomic_fence_acquire();
		if (vmt_atomic_load_relaxed(&writing) < generation + 2)
			return found;
	}
	return false;
}

struct vmt_module_list *
vmt_module_list_current(void)
{
	return &lists[vmt_atomic_load_relaxed(&published) & 1];
}

const struct vmt_module_entry *
vmt_module_list_at(uint64_t low)
{
	const struct vmt_module_list *list = vmt_module_list_current();
	uint64_t at = lower_bound(list, low);

	return at < list->count && list->entries[at].low == low ? &list->entries[at] : NULL;
}

/* By address, none in another. */
__attribute__((unused)) static bool
is_sorted(const struct vmt_module_list *list)
{
	for (uint64_t i = 1; i < list->count; i++)
		if (list->entries[i].low < list->entries[i - 1].low)
			return false;
	return true;
}

void
vmt_module_list_publish(const struct vmt_module_list *list)
{
	uint64_t generation = vmt_atomic_load_relaxed(&published) + 1;
	const uint64_t *from = (const uint64_t *)list;
	uint64_t *to = (uint64_t *)&lists[generation & 1];
	uint64_t words = 1 + list->count * (sizeof(struct vmt_module_entry) / 8);

	vmt_assert(list != vmt_module_list_current());
	vmt_assert(vmt_atomic_load_relaxed(&writing) <= generation);
	vmt_assert(is_sorted(list));
	vmt_atomic_store_relaxed(&writing, generation);
	for (uint64_t i = 0; i < words; i++)
		vmt_atomic_store_release(&to[i], from[i]);
	vmt_atomic_store_release(&published, generation);
}

void
vmt_module_list_recover(void)
{
	vmt_atomic_store_relaxed(&writing, vmt_atomic_load_relaxed(&published));
}

/* Shell sort: the order of loading is nearly the reverse of the order wanted. */
void
vmt_module_list_sort(struct vmt_module_list *list)
{
	for (uint64_t gap = list->count / 2; gap > 0; gap /= 2) {
		for (uint64_t i = gap; i < list->count; i++) {
			struct vmt_module_entry entry = list->entries[i];
			uint64_t at = i;

			for (; at >= gap && list->entries[at - gap].low > entry.low; at -= gap)
				list->entries[at] = list->entries[at - gap];
			list->entries[at] = entry;
		}
	}
}
