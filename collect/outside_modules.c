#include "collect/outside_modules.h"

#include "base/atomic.h"
#include "collect/process.h"
#include "format/module_table.h"

#include <string.h>
#include <sys/mman.h>

#define LEAST_BYTES 4096u

static uint64_t
used_by(const struct vmt_traced *process)
{
	uint64_t used = vmt_atomic_load_acquire(&vmt_process_head(process)->modules_used);
	uint64_t most = process->layout.modules_bytes;

	return (used < most ? used : most) & ~UINT64_C(7);
}

uint64_t
vmt_outside_modules_bytes(const struct vmt_traced *parent)
{
	uint64_t used = used_by(parent);

	return used < LEAST_BYTES ? LEAST_BYTES : used;
}

void
vmt_outside_modules_take_over(struct vmt_traced *process, const struct vmt_traced *parent)
{
	struct vmt_head *head = vmt_process_head(process);
	uint64_t used = used_by(parent);

	if (used > process->layout.modules_bytes)
		used = process->layout.modules_bytes;
	if (used <= VMT_MODULE_FIRST_ID)
		return;
	memcpy(process->base + process->layout.modules_offset,
	       parent->base + parent->layout.modules_offset, used);
	vmt_atomic_store_release(&head->modules_used, used);
}

/* The one that came last of those that were there. */
bool
vmt_outside_modules_find(const struct vmt_traced *process, const struct vmt_mapping *mapping,
			 struct vmt_map_event *event)
{
	const unsigned char *region = process->base + process->layout.modules_offset;
	uint64_t used = used_by(process);
	uint32_t id = VMT_MODULE_FIRST_ID;
	struct vmt_module module;
	bool found = false;

	if ((mapping->protection & PROT_EXEC) == 0 || mapping->inode == 0)
		return false;
	for (; vmt_module_table_get(region, used, id, &module);
	     id = vmt_module_table_next(id, &module)) {
		if (mapping->start < module.low || mapping->end > module.high)
			continue;
		*event = (struct vmt_map_event){.kind = VMT_EVENT_MODULE_LOAD,
						.address = module.low,
						.length = module.high - module.low,
						.argument_a = module.bias,
						.argument_b = id};
		found = true;
	}
	return found;
}
