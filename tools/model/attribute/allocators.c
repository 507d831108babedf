#include "tools/model/attribute/allocators.h"

#include "base/assert.h"
#include "format/allocator_code.h"
#include "format/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A name that is nobody else's. */
static const char glibc[] = "glibc";

enum verdict { NOT_JUDGED, OWNS, OWNS_NOT };

struct vmt_allocators {
	struct vmt_allocators_input input;
	unsigned char *verdicts; /* enum verdict, by site */
	uint32_t room;
	const char *name;
	/* What the trace says of the code of an allocator in the program's file. */
	struct vmt_allocator_code linked;
	struct vmt_allocator_range *ranges;
};

/* The name as this build has it: the trace's is somebody's bytes, and goes with it. */
static const char *
known_name(const char *name)
{
	static const struct vmt_allocator_prefix known[] = VMT_ALLOCATOR_PREFIXES;

	for (size_t i = 0; known[i].symbol; i++)
		if (strcmp(known[i].allocator, name) == 0)
			return known[i].allocator;
	return "the allocator";
}

/* Whatever it may claim: ranges are as many as there are bytes for them. */
static int
read_linked(struct vmt_allocators *allocators, const unsigned char *bytes, size_t length)
{
	struct vmt_allocator_code *linked = &allocators->linked;
	size_t most = (length - sizeof(*linked)) / sizeof(*allocators->ranges);

	memcpy(linked, bytes, sizeof(*linked));
	linked->name[sizeof(linked->name) - 1] = '\0';
	if (linked->count > most)
		linked->count = (uint32_t)most;
	allocators->ranges = calloc(most + 1, sizeof(*allocators->ranges));
	if (!allocators->ranges)
		return -ENOMEM;
	memcpy(allocators->ranges, bytes + sizeof(*linked),
	       linked->count * sizeof(*allocators->ranges));
	return 0;
}

static int
find_linked(struct vmt_allocators *allocators)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(allocators->input.trace, &count);
	const unsigned char *bytes;
	struct vmt_err err = {{0}};
	size_t length;

	for (size_t i = 0; i < count; i++) {
		if (chunks[i].header.kind != VMT_CHUNK_ALLOCATOR ||
		    vmt_trace_payload(allocators->input.trace, &chunks[i], &bytes, &length, &err) ||
		    length < sizeof(allocators->linked))
			continue;
		return read_linked(allocators, bytes, length);
	}
	return 0;
}

struct vmt_allocators *
vmt_allocators_new(const struct vmt_allocators_input *input)
{
	struct vmt_allocators *allocators = calloc(1, sizeof(*allocators));

	if (!allocators)
		return NULL;
	allocators->input = *input;
	if (!find_linked(allocators))
		return allocators;
	vmt_allocators_free(allocators);
	return NULL;
}

void
vmt_allocators_free(struct vmt_allocators *allocators)
{
	if (!allocators)
		return;
	free(allocators->verdicts);
	free(allocators->ranges);
	free(allocators);
}

/* Beginnings of names. */
struct known {
	const char *prefix;
	const char *allocator;
};

static const char *
look_up(const struct known *known, const char *name, size_t length)
{
	for (; known->prefix; known++) {
		size_t prefix_length = strlen(known->prefix);

		if (length >= prefix_length && memcmp(name, known->prefix, prefix_length) == 0)
			return known->allocator;
	}
	return NULL;
}

const char *
vmt_allocators_of_library(const char *path, size_t path_bytes)
{
	static const struct known known[] = {
	    {"libjemalloc", "jemalloc"},
	    {"libtcmalloc", "tcmalloc"},
	    {"libmimalloc", "mimalloc"},
	    {"librpmalloc", "rpmalloc"},
	    {"libsnmalloc", "snmalloc"},
	    {"libscudo", "scudo"},
	    {"libhoard", "Hoard"},
	    {"libtbbmalloc", "tbbmalloc"},
	    {"libsupermalloc", "supermalloc"},
	    {NULL, NULL},
	};
	const char *slash = path_bytes ? memrchr(path, '/', path_bytes) : NULL;
	const char *base = slash ? slash + 1 : path;

	return path_bytes ? look_up(known, base, path_bytes - (size_t)(base - path)) : NULL;
}

const char *
vmt_allocators_of_function(const char *function)
{
	static const struct known known[] = {
	    {"je_", "jemalloc"},
	    {"_rjem_", "jemalloc"},
	    {"os_pages_map", "jemalloc"},
	    {"extent_dss_", "jemalloc"},
	    {"tcmalloc::", "tcmalloc"},
	    {"TCMalloc_", "tcmalloc"},
	    {"MmapSysAllocator::", "tcmalloc"},
	    {"SbrkSysAllocator::", "tcmalloc"},
	    {"DefaultSysAllocator::", "tcmalloc"},
	    {"LowLevelAlloc::", "tcmalloc"},
	    {"mi_os_", "mimalloc"},
	    {"mi_unix_mmap", "mimalloc"},
	    {"_mi_", "mimalloc"},
	    {"unix_mmap", "mimalloc"},
	    {"rpmalloc", "rpmalloc"},
	    {"_rpmalloc", "rpmalloc"},
	    {"snmalloc::", "snmalloc"},
	    {"scudo::", "scudo"},
	    {NULL, NULL},
	};

	if (strncmp(function, "(anonymous namespace)::", 23) == 0)
		function += 23;
	return look_up(known, function, strlen(function));
}

/* Those through which memory is asked for: what they call in turn is the allocator. */
static bool
is_heap_hook(const char *function)
{
	static const char *const names[] = {
	    "malloc",	      "calloc",	  "realloc",	  "reallocarray",
	    "posix_memalign", "memalign", "valloc",	  "aligned_alloc",
	    "pvalloc",	      "free",	  "operator new", "operator delete",
	    "heap_entry_",    NULL};

	for (size_t i = 0; names[i]; i++)
		if (strncmp(function, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* A site's stack. */
struct frames {
	const uint64_t *addresses;
	const uint32_t *spans;
	uint32_t count;
};

static bool
module_of(const struct vmt_allocators *allocators, const struct frames *frames, uint32_t i,
	  struct vmt_module *module)
{
	const struct vmt_span *span =
	    frames->spans[i] ? vmt_module_history_span(allocators->input.history, frames->spans[i])
			     : NULL;

	return span && vmt_trace_module(allocators->input.trace, span->module, module);
}

/* The outermost of what was inlined there: the function that has the frame. */
static const char *
function_of(const struct vmt_allocators *allocators, const struct frames *frames, uint32_t i,
	    const struct vmt_module *module, struct vmt_symbol *symbols)
{
	const struct vmt_span *span =
	    vmt_module_history_span(allocators->input.history, frames->spans[i]);
	size_t count = vmt_lookup_resolve(allocators->input.symbols, module,
					  frames->addresses[i] - span->bias - 1, symbols);

	return count ? symbols[count - 1].function : NULL;
}

static bool
is_tracer(const struct vmt_allocators *allocators, const struct frames *frames, uint32_t i)
{
	const struct vmt_span *span =
	    frames->spans[i] ? vmt_module_history_span(allocators->input.history, frames->spans[i])
			     : NULL;
	uint64_t address = allocators->input.tracer_address;

	return span && address >= span->low && address < span->high;
}

/* One module's code, called by a heap hook. Where the tracer's own names are gone, any hook counts
 * as one: few others call out to what maps memory. */
static bool
is_called_by_hook(const struct vmt_allocators *allocators, const struct frames *frames)
{
	struct vmt_symbol symbols[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module;
	const char *function;
	uint32_t i = 1;

	while (i < frames->count && !is_tracer(allocators, frames, i) &&
	       frames->spans[i] == frames->spans[0])
		i++;
	if (i >= frames->count || !is_tracer(allocators, frames, i) ||
	    !module_of(allocators, frames, i, &module))
		return false;
	function = function_of(allocators, frames, i, &module, symbols);
	return !function || is_heap_hook(function);
}

/* By what the trace itself has: the call before the return address lies in the allocator's code. */
static const char *
find_in_program(const struct vmt_allocators *allocators, const struct frames *frames,
		const struct vmt_module *module)
{
	const char *exe = vmt_trace_head(allocators->input.trace)->exe;
	const struct vmt_span *span =
	    vmt_module_history_span(allocators->input.history, frames->spans[0]);
	uint64_t address = frames->addresses[0] - span->bias - 1;

	if (!allocators->linked.count || module->path_bytes != strnlen(exe, VMT_EXE_BYTES) ||
	    memcmp(module->path, exe, module->path_bytes) != 0)
		return NULL;
	for (uint32_t i = 0; i < allocators->linked.count; i++)
		if (allocators->ranges[i].low <= address && address < allocators->ranges[i].high)
			return known_name(allocators->linked.name);
	return NULL;
}

static const char *
judge(const struct vmt_allocators *allocators, const struct vmt_site_entry *entry)
{
	struct vmt_symbol symbols[VMT_SYMBOLS_MAX_INLINED];
	struct frames frames = {.spans = vmt_sites_spans(allocators->input.sites, entry)};
	struct vmt_module module;
	const char *function;
	const char *name;

	if (entry->key.kind == VMT_EVENT_THREAD)
		return NULL;
	frames.addresses =
	    vmt_trace_stack(allocators->input.trace, entry->key.stack, &frames.count);
	if (entry->frames < frames.count)
		frames.count = entry->frames;
	if (!frames.addresses || !frames.spans || frames.count == 0 ||
	    !module_of(allocators, &frames, 0, &module))
		return NULL;
	name = vmt_allocators_of_library(module.path, module.path_bytes);
	if (!name)
		name = find_in_program(allocators, &frames, &module);
	if (name || !allocators->input.symbols)
		return name;
	function = function_of(allocators, &frames, 0, &module, symbols);
	name = function ? vmt_allocators_of_function(function) : NULL;
	if (!name && is_called_by_hook(allocators, &frames))
		name = vmt_trace_head(allocators->input.trace)->heap_is_glibc ? glibc
									      : "the allocator";
	return name;
}

static bool
make_room(struct vmt_allocators *allocators, uint32_t site)
{
	uint32_t room = vmt_sites_count(allocators->input.sites);
	unsigned char *verdicts;

	if (site < allocators->room)
		return true;
	if (site >= room)
		return false;
	verdicts = realloc(allocators->verdicts, room);
	if (!verdicts)
		return false;
	vmt_assert(room > site && room > allocators->room);
	memset(verdicts + allocators->room, NOT_JUDGED, room - allocators->room);
	allocators->verdicts = verdicts;
	allocators->room = room;
	return true;
}

bool
vmt_allocators_owns(struct vmt_allocators *allocators, uint32_t site)
{
	if (site == VMT_SITE_NONE || !make_room(allocators, site))
		return false;
	if (allocators->verdicts[site] == NOT_JUDGED) {
		const char *name = judge(allocators, vmt_sites_get(allocators->input.sites, site));

		allocators->verdicts[site] = name ? OWNS : OWNS_NOT;
		if (name && name != glibc && !allocators->name)
			allocators->name = name;
	}
	return allocators->verdicts[site] == OWNS;
}

const char *
vmt_allocators_name(const struct vmt_allocators *allocators)
{
	return allocators->name;
}
