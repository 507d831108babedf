/*
 * allocators.h: which mappings are an allocator's own.
 *
 * A mapping is an allocator's where its call stack says so, whichever blocks were sampled in it:
 * the innermost frame lies in a library that is an allocator by its name, or has the name of one of
 * the known allocators' functions (they are linked statically, too), or lies in code of which the
 * trace says so (format/allocator_code.h), whatever became of the program's file; or the call was
 * made on behalf of a heap hook of libvmtrace's. Each site is judged once. One thread at a time.
 * What can't be told is not an allocator's.
 */
#ifndef VMT_ALLOCATORS_H
#define VMT_ALLOCATORS_H

#include "tools/model/space/sites.h"
#include "tools/read/symbols/lookup.h"
#include "tools/read/trace/trace.h"

struct vmt_allocators;

struct vmt_allocators_input {
	struct vmt_trace *trace;
	const struct vmt_module_history *history;
	struct vmt_sites *sites;
	struct vmt_lookup *symbols; /* NULL: without names of functions */
	uint64_t tracer_address;    /* inside libvmtrace.so; 0 = not known */
};

struct vmt_allocators *vmt_allocators_new(const struct vmt_allocators_input *input);
void vmt_allocators_free(struct vmt_allocators *allocators);

bool vmt_allocators_owns(struct vmt_allocators *allocators, uint32_t site);

/* "jemalloc" of the first that owned a site; NULL where none did. Static. */
const char *vmt_allocators_name(const struct vmt_allocators *allocators);

/* The allocator whose library or function has this name; NULL: none that is known. Static. */
const char *vmt_allocators_of_library(const char *path, size_t path_bytes);
const char *vmt_allocators_of_function(const char *function);

#endif
