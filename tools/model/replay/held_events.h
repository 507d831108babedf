/*
 * held_events.h: events of the heap that wait for one that was stamped later and came earlier.
 *
 * An acquisition is stamped without a wait for the loads before it. So its time may be a little
 * before that of the release which made its address free (docs/ring.md says by how much). It waits
 * here, and so does what its own thread then does to the block, until that release is read. The
 * order of one address is kept; a look asks for the first or the last of it.
 *
 * At most VMT_HELD_EVENTS_MOST wait, in the order in which they came: whoever adds makes room
 * first. An address that nothing waits for costs one load. Addresses are a trace's, and may be
 * chosen to meet: a look then passes all that wait. One thread at a time.
 */
#ifndef VMT_HELD_EVENTS_H
#define VMT_HELD_EVENTS_H

#include "format/event.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_HELD_EVENTS_MOST 1024u /* several for each of some hundred processors */

#define VMT_HELD_EVENTS_CELL_BITS 12u

struct vmt_held_event {
	struct vmt_event event; /* address 0: it has gone */
	bool temporary;		/* a release: of a temporary block (temporary_blocks.h) */
};

/* Places are numbers that only grow; slot = place modulo the number of slots. */
struct vmt_held_events {
	uint64_t oldest; /* place of the first that has not gone */
	uint64_t next;
	uint16_t
	    cells[1u << VMT_HELD_EVENTS_CELL_BITS]; /* how many wait, by a hash of the address */
	struct vmt_held_event slots[VMT_HELD_EVENTS_MOST];
};

struct vmt_held_events *vmt_held_events_new(void);
void vmt_held_events_free(struct vmt_held_events *held);

/* Whether nothing waits. */
static inline bool
vmt_held_events_are_none(const struct vmt_held_events *held)
{
	return held->oldest == held->next;
}

/* There must be room. */
void vmt_held_events_add(struct vmt_held_events *held, const struct vmt_held_event *event);
bool vmt_held_events_are_full(const struct vmt_held_events *held);

/* One of those below; it is not valid from then on. */
void vmt_held_events_remove(struct vmt_held_events *held, struct vmt_held_event *event);

/* The one that came first, of all and of an address, and the one of it that came last. NULL: there
 * is none. Valid until it is removed. */
struct vmt_held_event *vmt_held_events_oldest(struct vmt_held_events *held);
struct vmt_held_event *vmt_held_events_first(struct vmt_held_events *held, uint64_t address);
struct vmt_held_event *vmt_held_events_last(struct vmt_held_events *held, uint64_t address);

#endif
