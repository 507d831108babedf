/*
 * shared.h: sets up what a collector has once for all its processes
 *
 * Chooses how residency is read, and gets the scratch for it. Single-threaded. Errors: negative
 * errno.
 */
#ifndef VMT_SHARED_H
#define VMT_SHARED_H

#include "collect/traced.h"

/* *shared is all zeros. The hooks (pause, forked, ending) and the sampling of page faults are the
 * caller's to set up. */
int vmt_shared_begin(struct vmt_shared *shared, const struct vmt_collector_host *host,
		     struct vmt_session *session);
void vmt_shared_end(struct vmt_shared *shared);

#endif
