/*
 * go_counters.h: reads what the Go runtime of a process counts by itself
 *
 * Reads the runtime's objects that the head of the trace names (format/go.h) out of the process
 * with process_vm_readv and appends them as one GO chunk. The kernel must allow that (ptrace(2),
 * "Ptrace access mode checking"): where a collector that is the process's own child may not read it
 * (Yama's ptrace_scope of 1 and above), nothing is written. The head is the target's to damage:
 * counts and sizes are bounded. Single-threaded. Errors: negative errno; -ENODATA: there is nothing
 * to read.
 */
#ifndef VMT_COLLECT_GO_COUNTERS_H
#define VMT_COLLECT_GO_COUNTERS_H

#include "base/buffer.h"
#include "collect/writer.h"
#include "format/head.h"

#include <stdint.h>

/* head: mapped. pid: of the process, as the collector knows it. maps_fd: of its maps, as the pid
 * may be another program by now. snapshot: index of the one that is to follow. */
int vmt_go_counters_take(const struct vmt_head *head, uint32_t pid, int maps_fd, uint32_t snapshot,
			 struct vmt_buffer *scratch, struct vmt_writer *writer);

#endif
