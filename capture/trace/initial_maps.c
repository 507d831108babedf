#include "capture/trace/initial_maps.h"

#include "base/procfs.h"
#include "base/roomy.h"
#include "base/sys.h"
#include "capture/core/clock.h"
#include "capture/core/guard.h"
#include "capture/core/recording.h"
#include "capture/emit/emit.h"
#include "collect/initial_events.h"

static bool
write_event(void *context, struct vmt_map_event *event)
{
	(void)context;
	event->time = vmt_clock_after();
	return vmt_emit_map(event);
}

void
vmt_initial_maps_write(void)
{
	static VMT_ROOMY char buffer[2 * VMT_PROCFS_LINE_BYTES];
	struct vmt_initial_events maps = {.own = vmt_own_memory.ranges, .write = write_event};
	int fd = vmt_procfs_open(0, "maps");

	if (fd < 0)
		return;
	maps.own_count = vmt_own_memory.count < VMT_OWN_MEMORY_RANGES ? vmt_own_memory.count
								      : VMT_OWN_MEMORY_RANGES;
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), vmt_initial_events_visit, &maps);
	vmt_sys_close(fd);
	if (maps.cut)
		vmt_atomic_or_relaxed(&vmt_recording.head->notes, VMT_NOTE_PRESENT_CUT);
}
