/*
 * lookup.h: symbols.h, in a process of its own.
 *
 * A trace names files, and libdw, libelf and the demangler were not written against files that are
 * hostile or half overwritten: they may crash in one, never end, or eat all memory, and a file that
 * shrinks while it is mapped raises SIGBUS. So files are looked into by a child, made at the first
 * question (again after it was lost), bounded in memory, in processor time and in waiting for an
 * answer. A file in which a child was lost is asked again without its debug information, then not
 * at all, and its trouble says so; after a few losses no file is asked any more.
 *
 * Answers are kept. Strings belong to the struct vmt_lookup. One thread's; the child is its own.
 */
#ifndef VMT_LOOKUP_H
#define VMT_LOOKUP_H

#include "tools/read/symbols.h"

struct vmt_lookup;

struct vmt_lookup *vmt_lookup_new(void);
void vmt_lookup_free(struct vmt_lookup *lookup);

/* As the functions of symbols.h of these names. */
size_t vmt_lookup_resolve(struct vmt_lookup *lookup, const struct vmt_module *module,
			  uint64_t address, struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED]);
bool vmt_lookup_go_member(struct vmt_lookup *lookup, const struct vmt_module *module,
			  const char *variable, const char *path, struct vmt_symbol_place *place);
bool vmt_lookup_has_debug(struct vmt_lookup *lookup, const struct vmt_module *module);
const char *vmt_lookup_trouble(struct vmt_lookup *lookup, const struct vmt_module *module);

#endif
