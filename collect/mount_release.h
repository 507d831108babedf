/*
 * mount_release.h: closes a trace on another file system before its process ends
 *
 * A program may mount a file system, run others in there and unmount it as soon as they have ended.
 * Where a trace lies on another file system than the first one, the collector closes it before it
 * answers the last request for a snapshot, and opens it again once the process has ended. Where it
 * can't, as the file system is gone or the file has another name, the trace stays as it is: with
 * all events up to the answer, and with what the process said of its end. Single-threaded.
 */
#ifndef VMT_MOUNT_RELEASE_H
#define VMT_MOUNT_RELEASE_H

#include "collect/traced.h"

/* Closes the trace. Memory stands where it was mapped. False: it stays open. */
bool vmt_mount_release_close(struct vmt_traced *process, uint64_t now_ns);

/* Opens and maps it again, in the same place. False: it is not there. */
bool vmt_mount_release_reopen(struct vmt_traced *process);

#endif
