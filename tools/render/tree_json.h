/*
 * tree_json.h: several traces as JSON.
 *
 * Schema "vmtrace-list/1", documented in docs/trace-format.md.
 */
#ifndef VMT_TREE_JSON_H
#define VMT_TREE_JSON_H

#include "tools/err.h"
#include "tools/model/tree/tree.h"
#include "tools/render/emitter.h"

#include <stdio.h>

/* directory: where the traces lie; NULL where they were named one by one. top: how many traces are
 * listed at most. 0, or a negative errno where it could not be written. */
int vmt_tree_json_print(const struct vmt_tree *tree, const char *directory, size_t top, FILE *out,
			struct vmt_err *err);

/* The same as an object of another document. */
void vmt_tree_json_emit(const struct vmt_tree *tree, const char *directory, size_t top,
			const char *key, struct vmt_emitter *emitter);

#endif
