/*
 * lookup.h: symbols, looked up in child processes.
 *
 * A trace names files, and libdw, libelf and the demangler were not written against files that are
 * hostile or half overwritten: they may crash in one, never end, or eat all memory, and a file that
 * shrinks while it is mapped raises SIGBUS. So each module's files are looked into by a child of
 * its own, made at its first question (again after it was lost), bounded in memory, in processor
 * time, in waiting for an answer, and confined (sandbox.h): it opens the module's files, and from
 * then on nothing. A file in which a child was lost is asked again without its debug information,
 * then not at all, and its trouble says so; after a few losses no file is asked any more.
 *
 * A trace may bring names of its own (packed_names.h). Where it does, no file is opened, unless
 * files are to come first: then a module's names are out of its files where these are all there and
 * the ones that were recorded, else out of the trace, never mixed.
 *
 * Answers are kept, and one module's files never say what another's answers are. No later run uses
 * them: see docs/architecture.md.
 *
 * Strings belong to the struct vmt_lookup. One thread's; the children are its own.
 */
#ifndef VMT_LOOKUP_H
#define VMT_LOOKUP_H

#include "tools/read/symbols/lookup_limits.h"
#include "tools/read/symbols/packed_names.h"
#include "tools/read/symbols/symbols.h"

struct vmt_lookup;

/* NULL, or a limit of 0: as usual. NULL when memory is short. */
struct vmt_lookup *vmt_lookup_new(const struct vmt_lookup_limits *limits);
void vmt_lookup_free(struct vmt_lookup *lookup);

struct vmt_lookup_sources {
	const char
	    *root; /* files are looked up below it, and nowhere else; NULL: as they are named */
	/* As vmt_symbols_set_recorded has it. */
	const struct vmt_recorded_files *recorded;
	struct vmt_packed_names *packed; /* NULL: the trace has no names */
	bool files_first;
};

/* Ends the children; the answers stay, and another question makes another child. */
void vmt_lookup_end_children(struct vmt_lookup *lookup);

/* Before the first question. What it points to belongs to the caller and outlives the lookup. */
void vmt_lookup_set_sources(struct vmt_lookup *lookup, const struct vmt_lookup_sources *sources);

/* As the functions of symbols.h of these names. */
size_t vmt_lookup_resolve(struct vmt_lookup *lookup, const struct vmt_module *module,
			  uint64_t address, struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED]);
bool vmt_lookup_go_member(struct vmt_lookup *lookup, const struct vmt_module *module,
			  const char *variable, const char *path, struct vmt_symbol_place *place);
bool vmt_lookup_has_debug(struct vmt_lookup *lookup, const struct vmt_module *module);
const char *vmt_lookup_trouble(struct vmt_lookup *lookup, const struct vmt_module *module);

/* All that was asked so far, and the answers. The first result that is not 0, or 0. */
int vmt_lookup_visit(const struct vmt_lookup *lookup, const struct vmt_names_visitor *visitor);

#endif
