#include "preload/present.h"

#include "collect/procfs.h"
#include "collect/sys.h"
#include "collect/text.h"
#include "preload/clock.h"
#include "preload/emit.h"
#include "preload/state.h"

#include <sys/mman.h>

#define MAX_PRESENT 16384u
#define PRESENT_OWN 3u /* argument_b: the tracer's own memory (format/event.h) */

/* What a PRESENT event says beside the range. */
struct present {
	struct vmt_map_event event;
	uint32_t written;
};

static bool
write_range(struct present *present, uint64_t start, uint64_t end, uint64_t what)
{
	present->event.kind = VMT_EVENT_PRESENT;
	present->event.address = start;
	present->event.length = end - start;
	present->event.argument_b = what;
	present->event.time = vmt_clock_after();
	return present->written++ < MAX_PRESENT && vmt_emit_map(&present->event);
}

/* The kernel joins neighbouring mappings that are alike, so one line of maps may hold memory of the
 * program and of the tracer: cuts it up. */
static bool
write_split(struct present *present, uint64_t start, uint64_t end, uint64_t what)
{
	const struct vmt_process *process = &vmt_state_process;

	while (start < end) {
		uint64_t piece_end = end;
		bool own = false;

		for (uint32_t i = 0; i < process->own_count && i < VMT_STATE_OWN_RANGES; i++) {
			const struct vmt_own_range *range = &process->own[i];

			if (start >= range->start && start < range->end) {
				own = true;
				piece_end = range->end < end ? range->end : end;
				break;
			}
			if (range->start > start && range->start < piece_end)
				piece_end = range->start;
		}
		if (!write_range(present, start, piece_end, own ? PRESENT_OWN : what))
			return false;
		start = piece_end;
	}
	return true;
}

static bool
visit_mapping(void *context, const struct vmt_mapping *mapping)
{
	struct present *present = context;
	struct vmt_text path = vmt_text_of(mapping->path, mapping->path_bytes);
	uint64_t what = 0;

	if (vmt_text_equals(&path, "[heap]"))
		what = 1;
	else if (vmt_text_equals(&path, "[stack]"))
		what = 2;
	else if (mapping->path_bytes != 0 && !vmt_text_skip_string(&path, "[anon:"))
		return true;
	present->event.protection = mapping->protection;
	present->event.argument_a = mapping->inode;
	return write_split(present, mapping->start, mapping->end, what);
}

void
vmt_present_write(void)
{
	static char buffer[2 * VMT_PROCFS_LINE_BYTES];
	struct present present = {0};
	int fd = vmt_procfs_open(0, "maps");

	if (fd < 0)
		return;
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit_mapping, &present);
	vmt_sys_close(fd);
}

void
vmt_present_write_own(uint64_t start, uint64_t bytes)
{
	struct present present = {0};

	vmt_state_add_own(start, bytes);
	if (vmt_atomic_load_acquire(&vmt_state_owner->state) != VMT_OWNER_RECORDING)
		return;
	present.event.protection = PROT_READ | PROT_WRITE;
	(void)write_range(&present, start, start + bytes, PRESENT_OWN);
}
