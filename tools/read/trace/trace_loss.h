/*
 * trace_loss.h: what a trace lost, and where.
 */
#ifndef VMT_TRACE_LOSS_H
#define VMT_TRACE_LOSS_H

#include "format/event.h"

#include <stdbool.h>
#include <stdint.h>

/* What stands at the top of a report: all that was lost, and where. undrained.h has the account
 * that makes written = read + dropped + overwritten + abandoned + missing + thinned. */
struct vmt_trace_loss {
	uint64_t events_dropped;     /* never got a slot */
	uint64_t events_overwritten; /* nobody collected, the ring kept the newest */
	uint64_t slots_abandoned;    /* claimed, never committed */
	uint64_t events_missing;     /* left the ring, but in no chunk: cut off with the file */
	uint64_t events_thinned;     /* left out, so that the file stays within its bound */
	uint64_t stacks_dropped;
	uint64_t samples_dropped;
	uint64_t chunks_unknown; /* of kinds that may be skipped, and were */
	uint64_t cut_bytes;	 /* bytes after the longest valid prefix */
	bool cut;		 /* the collector wrote an end, which is not in the file */
	uint64_t dropped_by_kind[VMT_EVENT_KINDS];
	uint64_t overwritten_by_kind[VMT_EVENT_KINDS];
};

#endif
