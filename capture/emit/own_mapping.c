#include "capture/emit/own_mapping.h"

#include "capture/core/guard.h"
#include "capture/emit/emit.h"

#include <sys/mman.h>

void
vmt_own_mapping_write(uint64_t start, uint64_t bytes)
{
	struct vmt_map_event event = {.kind = VMT_EVENT_PRESENT,
				      .protection = PROT_READ | PROT_WRITE,
				      .address = start,
				      .length = bytes,
				      .argument_b = VMT_PRESENT_OWN};

	vmt_own_memory_add(start, bytes);
	if (vmt_atomic_load_acquire(&vmt_guard_owner->state) != VMT_OWNER_RECORDING)
		return;
	event.time = vmt_emit_time_after();
	(void)vmt_emit_map(&event);
}
