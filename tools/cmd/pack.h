/*
 * pack.h: puts into a trace the names that its report needs.
 *
 * A copy of a trace with NAMES chunks at its end (docs/trace-format.md), in the trace's place or as
 * another file. The rest of it stays byte for byte, its holes too. Names that an earlier packing
 * has put there are kept where the files are gone by now. The file takes its place when it is
 * whole. Single-threaded.
 */
#ifndef VMT_PACK_H
#define VMT_PACK_H

#include "tools/err.h"

#include <stdint.h>

struct vmt_pack {
	const char *path;    /* of the trace */
	const char *output;  /* NULL: in its place */
	const char *sysroot; /* where the files that it names are looked up, or NULL */
	/* what was packed */
	uint64_t modules;
	uint64_t nameless; /* modules of these that gave no names, or no lines */
	uint64_t addresses;
	uint64_t bytes; /* of the chunks, compressed */
};

int vmt_pack_write(struct vmt_pack *pack, struct vmt_err *err);

#endif
