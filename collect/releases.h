/*
 * releases.h: takes the releases of a ring, so that each slot costs a store and no swap
 *
 * What producers that find no collector do about it depends on whether this one lives: they leave a
 * ring alone whose releases it has taken, and discard again when it has died. That it has is told
 * by the kernel, which marks the words on a thread's list of robust futexes at its end: the calling
 * thread gets such a list of our own, for good, in place of its C library's (set_robust_list(2),
 * Documentation/locking/robust-futex-ABI.rst). Where the kernel gives none, nothing is ever taken.
 *
 * For one thread of a process. Signal safety: none is needed.
 */
#ifndef VMT_RELEASES_H
#define VMT_RELEASES_H

#include "format/ring.h"

#include <stdbool.h>

/* Of one ring at a time. True: vmt_ring_release_alone is right until vmt_releases_end. */
bool vmt_releases_begin(const struct vmt_ring_view *ring);

void vmt_releases_end(const struct vmt_ring_view *ring);

#endif
