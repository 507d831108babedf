/*
 * symbols.h: function and line of an address.
 *
 * Resolves addresses of a module's file (not of the process: the caller subtracts the load bias) by
 * libdw, with an index of our own over the units, since .debug_aranges is incomplete in many
 * binaries. Names are demangled (C++, Rust legacy and v0). Inlined frames are told apart. Falls
 * back to the symbol table, then to nothing: the caller prints module+offset. Go code is looked up
 * in the program's own table of functions (gopclntab.h), stripped or not; type arguments of generic
 * functions are written [...], as the Go runtime does. A file whose build-id
 * differs from the recorded one is not used, nor one without a build-id that may have changed.
 * Opens only regular files, executes nothing; which ones, debug_files.h says, but libdw opens .dwo
 * files that a module names unless it is hindered.
 */
#ifndef VMT_SYMBOLS_H
#define VMT_SYMBOLS_H

#include "format/module_table.h"
#include "tools/err.h"
#include "tools/read/symbols/recorded_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_SYMBOLS_MAX_INLINED 16u

struct vmt_symbols;

/* One source-level frame. Strings belong to the struct vmt_symbols; NULL where not known. */
struct vmt_symbol {
	const char *function;
	const char *file;
	uint32_t line; /* 0 = not known */
	bool inlined;
	bool is_go; /* by the table of functions of a Go program */
};

/* Part of a variable: bytes from its start. */
struct vmt_symbol_place {
	uint64_t offset;
	uint64_t bytes;
};

struct vmt_symbols *vmt_symbols_new(void);
void vmt_symbols_free(struct vmt_symbols *symbols);

/* A directory below which all files are looked up, links and all (rooted_open.h); NULL: files are
 * opened as they are named. Before the first module; the text is the caller's. */
void vmt_symbols_set_root(struct vmt_symbols *symbols, const char *root);

/* How files without a build-id are known again; NULL: they are taken as they are. Before the first
 * module; it is the caller's. */
void vmt_symbols_set_recorded(struct vmt_symbols *symbols,
			      const struct vmt_recorded_files *recorded);

/* Frames of one address, innermost first; returns how many (0 = nothing known). `address` is in the
 * file's own address space. For a return address the caller passes address - 1. */
size_t vmt_symbols_resolve(struct vmt_symbols *symbols, const struct vmt_module *module,
			   uint64_t address, struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED]);

/* Where a member lies in a variable of a Go program, by the debug information. `variable` has its
 * package ("runtime.memstats"), `path` is members' names and, for arrays, numbers, with dots
 * between
 * ("heapStats.stats.0.inStacks"). */
bool vmt_symbols_go_member(struct vmt_symbols *symbols, const struct vmt_module *module,
			   const char *variable, const char *path, struct vmt_symbol_place *place);

/* Whether a module has debug information that can be read. */
bool vmt_symbols_has_debug(struct vmt_symbols *symbols, const struct vmt_module *module);

/* Opens a module's files, which its first question does otherwise, and looks no further into them
 * than to tell which they are. distrust: its debug information is left alone. False where memory is
 * short. */
bool vmt_symbols_open(struct vmt_symbols *symbols, const struct vmt_module *module, bool distrust);

/* Why a module gave no lines ("build-id differs", "file is gone", ...), or NULL. */
const char *vmt_symbols_trouble(struct vmt_symbols *symbols, const struct vmt_module *module);

#endif
