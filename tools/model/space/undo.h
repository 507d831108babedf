/*
 * undo.h: a thread's last releases, in case they failed.
 *
 * A release is stamped before its call; one that fails is followed by MAP_UNDO. Keeps the newest
 * two releases of a thread (an mremap to a fixed place has two), with the extents they took out,
 * and the touches of their pages.
 * Threads share slots by the low bits of their ids, so memory is bounded; a slot taken over forgets
 * the other thread's releases. One thread at a time.
 */
#ifndef VMT_UNDO_H
#define VMT_UNDO_H

#include "format/event.h"
#include "tools/model/space/space.h"
#include "tools/model/space/touchers.h"

struct vmt_undo_record {
	struct vmt_event event; /* the release; kind 0 = none */
	struct vmt_extents pieces;
	struct vmt_taken_touches touches;
};

struct vmt_undo;

struct vmt_undo *vmt_undo_new(void);
void vmt_undo_free(struct vmt_undo *undo);

/* An empty record for this release of event->thread; its pieces are for the caller to fill. NULL:
 * no memory. Valid until the thread's next but one release. */
struct vmt_undo_record *vmt_undo_begin(struct vmt_undo *undo, const struct vmt_event *event);

/* The thread's release of this kind (0 = any) and address, or NULL. The caller sets event.kind to 0
 * once it has used it. */
struct vmt_undo_record *vmt_undo_find(struct vmt_undo *undo, uint32_t thread, uint8_t kind,
				      uint64_t address);

#endif
