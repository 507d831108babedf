/*
 * touched.h: pages that were in RAM before.
 *
 * Keeps the ranges in which pages were resident in an earlier snapshot, or just before an advice
 * gave them back. "Never touched" is said of private anonymous memory outside of them alone: there
 * a page that was touched is resident, or swapped, or was given back. A range of which only a part
 * was resident counts whole, so what is left was surely never touched. New memory in a place
 * forgets what was there. Addresses in bytes, whole pages. 0 or -ENOMEM. One thread at a time.
 */
#ifndef VMT_TOUCHED_H
#define VMT_TOUCHED_H

#include "tools/model/space/resident.h"

#include <stdbool.h>

struct vmt_touched;

struct vmt_touched *vmt_touched_new(void);
void vmt_touched_free(struct vmt_touched *touched);

int vmt_touched_add(struct vmt_touched *touched, uint64_t start, uint64_t end);
int vmt_touched_forget(struct vmt_touched *touched, uint64_t start, uint64_t end);

/* Whether some of the range is known to have been touched. */
bool vmt_touched_has(const struct vmt_touched *touched, uint64_t start, uint64_t end);

/* From now on every page may have been: something that would tell was lost. */
void vmt_touched_lose(struct vmt_touched *touched);

/* Bytes of the range that are neither resident nor swapped now, and surely never were. */
uint64_t vmt_touched_never(const struct vmt_touched *touched, const struct vmt_resident *resident,
			   uint64_t start, uint64_t end);

#endif
