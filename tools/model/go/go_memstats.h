/*
 * go_memstats.h: computes Go's memory figures from the runtime's own counters.
 *
 * Adds up the runtime's counters, out of the raw bytes of its objects (tools/read/trace/go_chunk.h)
 * and the places of their members, as
 * runtime.ReadMemStats does it (runtime/mstats.go of Go 1.19 to 1.26; members that a version lacks
 * count as 0). Bytes. The objects were read while the program ran: figures may miss one another by
 * what happened meanwhile.
 */
#ifndef VMT_GO_MEMSTATS_H
#define VMT_GO_MEMSTATS_H

#include "format/go_offsets.h"
#include "tools/model/go/go_figures.h"
#include "tools/read/symbols/lookup.h"
#include "tools/read/trace/go_chunk.h"

#define VMT_GO_MEMSTATS_TERMS 32u

/* The places of one program's members. */
struct vmt_go_layout {
	struct vmt_symbol_place places[VMT_GO_MEMSTATS_TERMS];
	bool known[VMT_GO_MEMSTATS_TERMS];
	bool usable; /* those are there that every version has */
};

void vmt_go_memstats_lay_out(struct vmt_go_layout *layout, struct vmt_lookup *symbols,
			     const struct vmt_module *module);

/* ... by the table of its version, where the program does not describe them. */
void vmt_go_memstats_lay_out_by_version(struct vmt_go_layout *layout,
					const struct vmt_go_offsets *offsets);

/* False where the objects lack what the layout needs. */
bool vmt_go_memstats_add_up(struct vmt_go_figures *figures, const struct vmt_go_layout *layout,
			    const struct vmt_go_chunk_read *counters);

/* Adds what paces the collections, where the objects have it. */
void vmt_go_memstats_add_pace(struct vmt_go_figures *figures, const struct vmt_go_offsets *offsets,
			      const struct vmt_go_chunk_read *counters);

#endif
