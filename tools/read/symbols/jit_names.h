/*
 * jit_names.h: which function did a run time compile to an address?
 *
 * The maps that a process wrote of the code that it compiled (format/jit_map.h). Code is thrown
 * away and its place used again, and no map says when: of several functions at one address the one
 * that was written down last is named, and that there were others is said. Bytes are untrusted:
 * what is no line of a map is passed over. Memory stays within a small multiple of the maps.
 * Strings belong to the struct. Single-threaded.
 */
#ifndef VMT_JIT_NAMES_H
#define VMT_JIT_NAMES_H

#include "tools/read/symbols/symbols.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of all maps of one trace: more than a collector copies. */
#define VMT_JIT_NAMES_MAX_BYTES (UINT64_C(128) << 20)

struct vmt_jit_names;

struct vmt_jit_names *vmt_jit_names_new(void);
void vmt_jit_names_free(struct vmt_jit_names *names);

/* Takes the payload of a JIT chunk, in the order of the trace. 0 or -ENOMEM. */
int vmt_jit_names_read(struct vmt_jit_names *names, const unsigned char *bytes, size_t length);

/* After the last one. 0 or -ENOMEM. */
int vmt_jit_names_settle(struct vmt_jit_names *names);

/* False: no map names the address. *reused: another function was there before. */
bool vmt_jit_names_find(struct vmt_jit_names *names, uint64_t address, struct vmt_symbol *symbol,
			bool *reused);

size_t vmt_jit_names_count(const struct vmt_jit_names *names);
/* Whether a map had more than was copied. */
bool vmt_jit_names_is_cut(const struct vmt_jit_names *names);

#endif
