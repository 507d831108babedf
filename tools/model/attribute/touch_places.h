/*
 * touch_places.h: what do the sampled faults of resident pages stand for, place by place?
 *
 * A place is what one call site has in one class. The first half of committers.h, which says how
 * samples count. A touch costs what of it is resident, a region or a block that is known the
 * touches that lie in it, a sampled block a bounded number of touches more. 0 or -ENOMEM.
 */
#ifndef VMT_TOUCH_PLACES_H
#define VMT_TOUCH_PLACES_H

#include "tools/model/attribute/commit_sums.h"
#include "tools/model/attribute/regions.h"

struct vmt_committers_input {
	const struct vmt_regions *regions; /* tallied: heap_pages.h */
	struct vmt_replay *replay;
	const struct vmt_resident *resident;
	const struct vmt_amounts *classes; /* by enum vmt_class_id */
	bool seen;   /* by the snapshot since which a page is there, instead of a toucher */
	bool coarse; /* the runs' places do not hold: each sampled page counts as resident */
};

/* Zero it first, then clear. */
struct vmt_touch_places {
	struct vmt_commit_sums sums; /* sorted */
	double *samples; /* by toucher, of resident pages; NULL where snapshots are asked */
};

int vmt_touch_places_add_up(struct vmt_touch_places *places,
			    const struct vmt_committers_input *input);
void vmt_touch_places_clear(struct vmt_touch_places *places);

#endif
