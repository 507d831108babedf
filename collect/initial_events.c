#include "collect/initial_events.h"

#include "base/assert.h"
#include "base/text.h"

#include <sys/mman.h>

static bool
write_range(struct vmt_initial_events *maps, struct vmt_map_event *event, uint64_t start,
	    uint64_t end, uint64_t what)
{
	event->kind = VMT_EVENT_PRESENT;
	event->address = start;
	event->length = end - start;
	event->argument_b = what;
	maps->cut = maps->written == VMT_INITIAL_EVENTS_MOST;
	return maps->written++ < VMT_INITIAL_EVENTS_MOST && maps->write(maps->context, event);
}

/* The kernel joins neighbouring mappings that are alike, so one line of maps may hold memory of the
 * program and of the tracer: cuts it up. */
static bool
write_split(struct vmt_initial_events *maps, struct vmt_map_event *event, uint64_t start,
	    uint64_t end, uint64_t what)
{
	while (start < end) {
		uint64_t piece_end = end;
		bool own = false;

		for (uint32_t i = 0; i < maps->own_count; i++) {
			const struct vmt_own_range *range = &maps->own[i];

			if (start >= range->start && start < range->end) {
				own = true;
				piece_end = range->end < end ? range->end : end;
				break;
			}
			if (range->start > start && range->start < piece_end)
				piece_end = range->start;
		}
		vmt_assert(piece_end > start && piece_end <= end);
		if (!write_range(maps, event, start, piece_end, own ? VMT_PRESENT_OWN : what))
			return false;
		start = piece_end;
	}
	return true;
}

bool
vmt_initial_events_visit(void *context, const struct vmt_mapping *mapping)
{
	struct vmt_initial_events *maps = context;
	struct vmt_text path = vmt_text_of(mapping->path, mapping->path_bytes);
	struct vmt_map_event event = {.protection = mapping->protection,
				      .argument_a = mapping->inode};
	uint64_t what = 0;

	if (vmt_text_equals(&path, "[heap]"))
		what = VMT_PRESENT_HEAP;
	else if (vmt_text_equals(&path, "[stack]"))
		what = VMT_PRESENT_STACK;
	else if (mapping->path_bytes != 0 && !vmt_text_skip_string(&path, "[anon:"))
		return true;
	return write_split(maps, &event, mapping->start, mapping->end, what);
}

bool
vmt_initial_events_write_own(struct vmt_initial_events *maps, uint64_t start, uint64_t end)
{
	struct vmt_map_event event = {.protection = PROT_READ | PROT_WRITE};

	return write_range(maps, &event, start, end, VMT_PRESENT_OWN);
}
