/*
 * compact.h: makes the file of a finished trace as small as what it holds
 *
 * A live trace has rings, an index and tables with room. Once all rings are drained and nobody
 * writes any more, a reader needs the counters, the stacks, the modules and the chunks. Of a
 * process that lived for less than 30 s, where they fit into what nobody needs of the file, and
 * nobody else has it open, which a lease tells on a local file system, they move there, the head
 * changes in one write, and the file ends behind them; who opens it meanwhile waits. Else they are
 * written to a new file beside the trace, with regions of the least size, which then takes the
 * trace's name: whoever reads meanwhile reads one file or the other, each of them whole. A trace
 * whose chunks are larger than VMT_COMPACT_MOST_BYTES has little to gain and keeps its holes.
 *
 * Whatever goes wrong, the trace stays as it was: another file under its name, another owner that
 * cannot be given to the new file, a full disk, events still in a ring. A collector that is killed
 * half-way leaves PATH.part behind, which the next one of that name removes. What the kernel had
 * on the disk by now stays there: of a process that lived for long the new file is, too, before it
 * takes the name. Single-threaded. The process's mapping and descriptors are
 * still open.
 */
#ifndef VMT_COMPACT_H
#define VMT_COMPACT_H

#include "collect/trace_dir.h"
#include "collect/traced.h"

#include <stdbool.h>
#include <stddef.h>

#define VMT_COMPACT_MOST_BYTES (UINT64_C(4) << 20)

/* `dir` is where its path led to, `scratch` is for copying. False: the trace is as it was. */
bool vmt_compact(const struct vmt_traced *process, const struct vmt_trace_dir *dir, void *scratch,
		 size_t scratch_bytes);

/* Whether the file that is open lies there, and is ours. */
bool vmt_compact_is_named(const struct vmt_traced *process, const struct vmt_trace_dir *dir);

#endif
