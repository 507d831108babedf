/*
 * initial_events.h: events for the anonymous memory that a process has when its trace begins
 *
 * One PRESENT event for each anonymous mapping of /proc/PID/maps, cut up where the tracer's own
 * memory lies in it; at most 16,384. The caller walks maps and writes the events. Nothing is
 * allocated; thread and signal safe.
 */
#ifndef VMT_INITIAL_EVENTS_H
#define VMT_INITIAL_EVENTS_H

#include "format/chunk.h"
#include "format/event.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_INITIAL_EVENTS_MOST 16384u

struct vmt_initial_events {
	const struct vmt_own_range *own;
	uint32_t own_count;
	/* Writes an event, whose time and thread are its to fill; false: no more. */
	bool (*write)(void *context, struct vmt_map_event *event);
	void *context;
	uint32_t written; /* begins as 0 */
	bool cut;	  /* there were more: the caller notes it in the head */
};

/* For vmt_procfs_walk_maps; `maps` is a struct vmt_initial_events. */
bool vmt_initial_events_visit(void *maps, const struct vmt_mapping *mapping);

/* The event for one range of the tracer's own. */
bool vmt_initial_events_write_own(struct vmt_initial_events *maps, uint64_t start, uint64_t end);

#endif
