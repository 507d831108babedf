/*
 * record_tree.h: what the processes of a recording had in RAM together, in its closing summary.
 */
#ifndef VMT_RECORD_TREE_H
#define VMT_RECORD_TREE_H

#include "tools/cmd/record_summary.h"

/* One sentence, and the command for the whole of it; nothing where no two processes were related.
 * At least one trace is there. Counts traces beside the recorded ones, of the same tree and written
 * since the recording began (start_ns, CLOCK_MONOTONIC), which another collector wrote. */
void vmt_record_tree_print(const struct vmt_record_summary *recorded, uint64_t start_ns, FILE *out);

#endif
