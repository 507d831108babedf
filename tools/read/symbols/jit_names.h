/*
 * jit_names.h: which function did a run time compile to an address?
 *
 * The maps that a process wrote of the code that it compiled (format/jit_map.h). Code is thrown
 * away and its place used again, and no map says when. What was written down before a time was
 * there by then. What was written down after it may have been there too, as run times write late:
 * V8 has a buffer of 2 MiB, and the JVM writes all at once. So of several functions at one address,
 * the one is named that was written down last by the first look at the map after that time, else
 * the one that was written down next. Where another one may have been there, that is said.
 *
 * Bytes are untrusted: what is no line of a map is passed over. Lines are bounded, and so is
 * memory: about 150 bytes for each, and their names. Strings belong to the struct. Single-threaded.
 */
#ifndef VMT_JIT_NAMES_H
#define VMT_JIT_NAMES_H

#include "tools/read/symbols/symbols.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_jit_names;

struct vmt_jit_names *vmt_jit_names_new(void);
void vmt_jit_names_free(struct vmt_jit_names *names);

/* Takes the payload of a JIT chunk, in the order of the trace. 0 or -ENOMEM. */
int vmt_jit_names_read(struct vmt_jit_names *names, const unsigned char *bytes, size_t length);

/* After the last one. 0 or -ENOMEM. */
int vmt_jit_names_settle(struct vmt_jit_names *names);

/* False: no map names the address. The newest of all times. *reused: others were there too. */
bool vmt_jit_names_find(struct vmt_jit_names *names, uint64_t address, struct vmt_symbol *symbol,
			bool *reused);

/* The time that is asked for from now on, in ticks; it never goes back. True: other versions may
 * hold than before. */
bool vmt_jit_names_reach(struct vmt_jit_names *names, uint64_t time);

/* What is at an address then, of several; a number for vmt_jit_names_of_version. 0: there is one
 * function at all times, or none (vmt_jit_names_find), or no memory. */
uint32_t vmt_jit_names_version(struct vmt_jit_names *names, uint64_t address);
/* *unsure: it may be another function. */
void vmt_jit_names_of_version(struct vmt_jit_names *names, uint32_t version,
			      struct vmt_symbol *symbol, bool *unsure);

/* Different lines. */
size_t vmt_jit_names_count(const struct vmt_jit_names *names);
/* Whether a map had more than was copied. */
bool vmt_jit_names_is_cut(const struct vmt_jit_names *names);

#endif
