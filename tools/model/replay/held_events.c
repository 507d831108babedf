#include "tools/model/replay/held_events.h"

#include "base/assert.h"

#include <assert.h>
#include <stdlib.h>

struct vmt_held_events *
vmt_held_events_new(void)
{
	return calloc(1, sizeof(struct vmt_held_events));
}

void
vmt_held_events_free(struct vmt_held_events *held)
{
	free(held);
}

static uint16_t *
cell_of(struct vmt_held_events *held, uint64_t address)
{
	return &held->cells[(address >> 4) * UINT64_C(0x9e3779b97f4a7c15) >>
			    (64 - VMT_HELD_EVENTS_CELL_BITS)];
}

static struct vmt_held_event *
slot_of(struct vmt_held_events *held, uint64_t place)
{
	return &held->slots[place % VMT_HELD_EVENTS_MOST];
}

bool
vmt_held_events_are_full(const struct vmt_held_events *held)
{
	return held->next - held->oldest == VMT_HELD_EVENTS_MOST;
}

void
vmt_held_events_add(struct vmt_held_events *held, const struct vmt_held_event *event)
{
	assert(!vmt_held_events_are_full(held) && event->event.address != 0);
	*slot_of(held, held->next++) = *event;
	++*cell_of(held, event->event.address);
}

void
vmt_held_events_remove(struct vmt_held_events *held, struct vmt_held_event *event)
{
	vmt_assert(event->event.address != 0);
	--*cell_of(held, event->event.address);
	event->event.address = 0;
	while (held->oldest != held->next && slot_of(held, held->oldest)->event.address == 0)
		held->oldest++;
}

struct vmt_held_event *
vmt_held_events_oldest(struct vmt_held_events *held)
{
	return held->oldest == held->next ? NULL : slot_of(held, held->oldest);
}

struct vmt_held_event *
vmt_held_events_first(struct vmt_held_events *held, uint64_t address)
{
	if (*cell_of(held, address) == 0)
		return NULL;
	for (uint64_t place = held->oldest; place != held->next; place++)
		if (slot_of(held, place)->event.address == address)
			return slot_of(held, place);
	return NULL;
}

struct vmt_held_event *
vmt_held_events_last(struct vmt_held_events *held, uint64_t address)
{
	if (*cell_of(held, address) == 0)
		return NULL;
	for (uint64_t place = held->next; place != held->oldest; place--)
		if (slot_of(held, place - 1)->event.address == address)
			return slot_of(held, place - 1);
	return NULL;
}
