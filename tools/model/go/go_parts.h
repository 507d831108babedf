/*
 * go_parts.h: what is the RSS of a Go program made of, and which part of it is most?
 *
 * The parts are a partition of RSS, in bytes: what snapshot and heap show to be in RAM. What of the
 * objects is live is not to be seen; the runtime's own counts tell what its last collection has
 * found, and are no more than a guess of what it would find now. Pure functions.
 */
#ifndef VMT_GO_PARTS_H
#define VMT_GO_PARTS_H

#include "tools/model/go/go_figures.h"
#include "tools/model/space/classes.h"

enum vmt_go_part {
	VMT_GO_PART_OBJECTS,
	VMT_GO_PART_FREE_SLOTS,
	VMT_GO_PART_STACKS,   /* of goroutines */
	VMT_GO_PART_IDLE,     /* pages of no span */
	VMT_GO_PART_RELEASED, /* given back by the runtime, and still in RAM */
	VMT_GO_PART_METADATA, /* what else is the runtime's */
	VMT_GO_PART_MALLOC,   /* C's, live or not */
	VMT_GO_PART_OUTSIDE,  /* all else: files, threads' stacks, other mappings */
	VMT_GO_PARTS,
};

/* Of what most of RSS is. */
enum vmt_go_cause {
	VMT_GO_CAUSE_UNKNOWN,
	VMT_GO_CAUSE_LIVE,    /* objects that the last collection found to be live */
	VMT_GO_CAUSE_GARBAGE, /* objects that it did not, or that are younger */
	VMT_GO_CAUSE_OBJECTS, /* a part of them alone is in RAM: it is not known which */
	VMT_GO_CAUSE_FREE_SLOTS,
	VMT_GO_CAUSE_STACKS,
	VMT_GO_CAUSE_IDLE,
	VMT_GO_CAUSE_RELEASED,
	VMT_GO_CAUSE_METADATA,
	VMT_GO_CAUSE_MALLOC,
	VMT_GO_CAUSE_OUTSIDE,
	VMT_GO_CAUSES,
};

/* Objects by the runtime's counts, of address space; each about. */
struct vmt_go_objects {
	bool is_known;
	bool is_collected;	/* a collection has run */
	uint64_t live_bytes;	/* by the last collection */
	uint64_t since_bytes;	/* allocated since, live or garbage */
	uint64_t unswept_bytes; /* garbage by that collection, whose slots are not yet free */
};

struct vmt_go_parts {
	bool is_known; /* false: the heap was not told apart, and all else is zero */
	uint64_t bytes[VMT_GO_PARTS];
	struct vmt_go_objects objects;
	uint64_t objects_reserved_bytes; /* of address space: what is in RAM of it is a part */
	enum vmt_go_cause cause;
	uint64_t cause_bytes; /* the part; of live objects and of garbage, their share of it, about
			       */
};

/* classes: by enum vmt_class_id, at the same snapshot. figures: NULL where not known. */
void vmt_go_parts_take(struct vmt_go_parts *parts, const struct vmt_amounts *classes,
		       const struct vmt_go_figures *figures);

/* Whether of what Go counts as objects a good part is not in RAM: which of them, counts do not
 * tell. */
bool vmt_go_parts_is_untouched(const struct vmt_go_parts *parts);

/* Of a class (enum vmt_class_id). */
enum vmt_go_part vmt_go_parts_of_class(enum vmt_class_id class);

/* "live objects" ...; NULL of VMT_GO_CAUSE_UNKNOWN. Static. */
const char *vmt_go_parts_cause_name(enum vmt_go_cause cause);

#endif
