/*
 * exit_watch.h: finds processes that ended while the collector slept
 *
 * Nothing wakes who sleeps on a futex when a process ends, and each look costs: it is taken between
 * two visits only where a process may leave something behind that is to go with it, a file system
 * that it mounted and has a trace in. By pidfd: where there is none, the next visit tells.
 */
#ifndef VMT_EXIT_WATCH_H
#define VMT_EXIT_WATCH_H

#include "collect/traced.h"

/* Whether one of [0, used) has its trace on another file system than the first one's. */
bool vmt_exit_watch_is_urgent(struct vmt_traced *const *processes, uint32_t used,
			      uint64_t home_device);

/* Makes the visit due of those that have ended. */
void vmt_exit_watch_poll(struct vmt_traced *const *processes, uint32_t used);

#endif
