#include "capture/record/long_call.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "capture/emit/emit.h"
#include "format/event.h"

#include <sys/mman.h>

/* Whether every new mapping is filled at once: mlockall(MCL_FUTURE) without MCL_ONFAULT. A fork
 * child does not inherit it, and then begins some calls that are short. */
static uint32_t locks_future;

void
vmt_long_call_note_lock(int flags, long result)
{
	bool locks = (flags & MCL_FUTURE) && !(flags & MCL_ONFAULT);

	if (result == 0)
		vmt_atomic_store_relaxed(&locks_future, locks);
}

bool
vmt_long_call_fills(void)
{
	return vmt_atomic_load_relaxed(&locks_future) != 0;
}

bool
vmt_long_call_is(const struct vmt_mapping_request *request)
{
	return (request->flags & (MAP_POPULATE | MAP_LOCKED)) != 0 || vmt_long_call_fills();
}

static void
write_begin(struct vmt_map_event *event, uint32_t stack)
{
	vmt_assert(vmt_event_is_known((uint8_t)event->argument_a));
	event->kind = VMT_EVENT_LONG_BEGIN;
	event->stack = stack;
	event->time = vmt_emit_time_before();
	vmt_emit_map(event);
}

void
vmt_long_call_begin_mmap(const struct vmt_mapping_request *request, uint64_t length, uint32_t stack)
{
	struct vmt_map_event event = {
	    .address = request->address,
	    .length = length,
	    .argument_a = VMT_EVENT_MMAP,
	    .argument_b = request->offset,
	    .protection = (uint8_t)request->protection,
	    .flags = (uint32_t)request->flags,
	};

	write_begin(&event, stack);
}

void
vmt_long_call_begin_segment(const struct vmt_map_event *ending)
{
	struct vmt_map_event event = {
	    .address = ending->address,
	    .length = ending->length,
	    .argument_a = ending->kind,
	    .protection = ending->protection,
	    .flags = ending->flags,
	};

	write_begin(&event, ending->stack);
}

void
vmt_long_call_begin_thread(uint64_t stack_bytes, uint32_t stack)
{
	struct vmt_map_event event = {.length = stack_bytes, .argument_a = VMT_EVENT_THREAD};

	write_begin(&event, stack);
}

void
vmt_long_call_end(uint8_t kind, uint32_t stack)
{
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_LONG_END,
	    .argument_a = kind,
	    .stack = stack,
	    .time = vmt_emit_time_after(),
	};

	vmt_emit_map(&event);
}
