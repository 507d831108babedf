/*
 * record_tree.h: what the processes of a recording had in RAM together, in its closing summary.
 */
#ifndef VMT_RECORD_TREE_H
#define VMT_RECORD_TREE_H

#include "tools/cmd/record_summary.h"

/* One sentence, and the command for the whole of it; nothing where no two processes were related.
 */
void vmt_record_tree_print(const struct vmt_record_summary *recorded, FILE *out);

#endif
