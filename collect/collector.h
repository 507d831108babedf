/*
 * collector.h: the loop that drains the rings and looks at the pages of a process tree
 *
 * One loop for a whole process tree: takes announcements from the session, opens each trace, drains
 * its rings into chunks, samples RSS and residency, writes how each process ended, and returns when
 * the last one has ended. Hosted by `vmtrace record` or by a child that libvmtrace.so makes with a
 * raw clone. Freestanding: no malloc, no stdio, no libc call that could take a lock; its memory is
 * its own anonymous mappings. Single-threaded.
 */
#ifndef VMT_COLLECTOR_H
#define VMT_COLLECTOR_H

#include "base/session.h"
#include "collect/host.h"

/* Runs until the tree has ended. Negative errno when it could not begin. */
int vmt_collector_run(struct vmt_session *session, const struct vmt_collector_host *host);

#endif
