#include "preload/present.h"

#include "base/procfs.h"
#include "base/sys.h"
#include "collect/initial_maps.h"
#include "preload/clock.h"
#include "preload/emit.h"
#include "preload/state.h"

static bool
write_event(void *context, struct vmt_map_event *event)
{
	(void)context;
	event->time = vmt_clock_after();
	return vmt_emit_map(event);
}

void
vmt_present_write(void)
{
	static char buffer[2 * VMT_PROCFS_LINE_BYTES];
	const struct vmt_process *process = &vmt_state_process;
	struct vmt_initial_maps maps = {.own = process->own, .write = write_event};
	int fd = vmt_procfs_open(0, "maps");

	if (fd < 0)
		return;
	maps.own_count =
	    process->own_count < VMT_STATE_OWN_RANGES ? process->own_count : VMT_STATE_OWN_RANGES;
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), vmt_initial_maps_visit, &maps);
	vmt_sys_close(fd);
}

void
vmt_present_write_own(uint64_t start, uint64_t bytes)
{
	struct vmt_initial_maps maps = {.write = write_event};

	vmt_state_add_own(start, bytes);
	if (vmt_atomic_load_acquire(&vmt_state_owner->state) != VMT_OWNER_RECORDING)
		return;
	(void)vmt_initial_maps_write_own(&maps, start, start + bytes);
}
