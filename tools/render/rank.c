#include "tools/render/rank.h"

#include "format/chunk.h"
#include "tools/render/allocator_wrappers.h"

#include <stdlib.h>
#include <string.h>

const char *const vmt_rank_words[] = {
    [VMT_RANK_COMMITTED] = "committed",
    [VMT_RANK_GAP] = "gap",
    [VMT_RANK_NEVER_TOUCHED] = "never-touched",
    [VMT_RANK_RESERVED] = "reserved",
    [VMT_RANK_RELEASED] = "released",
    [VMT_RANK_COUNT] = "count",
    [VMT_RANK_LEAKED] = "leaked",
    [VMT_RANK_TEMPORARY] = "temporary",
    NULL,
};

/* Reserved, and not in RAM. */
static uint64_t
gap(const struct vmt_site *site)
{
	uint64_t there = site->committed_bytes + site->hugetlb_bytes;

	return site->reserved_bytes > there ? site->reserved_bytes - there : 0;
}

uint64_t
vmt_rank_figure(const struct vmt_site *site, enum vmt_rank_by by)
{
	switch (by) {
	case VMT_RANK_GAP:
		return gap(site);
	case VMT_RANK_NEVER_TOUCHED:
		return site->never_touched_bytes;
	case VMT_RANK_RESERVED:
		return site->reserved_bytes;
	case VMT_RANK_RELEASED:
		return site->released_bytes;
	case VMT_RANK_COUNT:
		return site->count;
	case VMT_RANK_LEAKED:
		return site->end_count == VMT_FIGURE_UNKNOWN ? 0 : site->end_bytes;
	case VMT_RANK_TEMPORARY:
		return site->temporary_count == VMT_FIGURE_UNKNOWN ? 0 : site->temporary_count;
	case VMT_RANK_COMMITTED:
		break;
	}
	return site->committed_bytes;
}

static int
compare_figures(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int
compare_sites(const void *left, const void *right, void *context)
{
	const struct vmt_site *a = *(const struct vmt_site *const *)left;
	const struct vmt_site *b = *(const struct vmt_site *const *)right;
	const enum vmt_rank_by *by = context;
	int order = compare_figures(vmt_rank_figure(a, *by), vmt_rank_figure(b, *by));

	if (order == 0)
		order = compare_figures(a->committed_bytes, b->committed_bytes);
	if (order == 0)
		order = compare_figures(a->reserved_bytes, b->reserved_bytes);
	if (order == 0)
		order = compare_figures(a->total_reserved_bytes, b->total_reserved_bytes);
	if (order == 0)
		order = compare_figures(b->stack_id, a->stack_id);
	return order ? order : strcmp(a->kind, b->kind);
}

const struct vmt_site **
vmt_rank_sites(const struct vmt_report *report, enum vmt_rank_by by)
{
	const struct vmt_site **sites;

	if (report->site_count == 0)
		return NULL;
	sites = calloc(report->site_count, sizeof(*sites));
	if (!sites)
		return NULL;
	for (size_t i = 0; i < report->site_count; i++)
		sites[i] = &report->sites[i];
	qsort_r(sites, report->site_count, sizeof(*sites), compare_sites, &by);
	return sites;
}

bool
vmt_rank_is_passage(const struct vmt_frame *frame)
{
	static const char *const prefixes[] = {
	    "_cgo_",	       "x_cgo_m",	  "runtime.asmcgocall",
	    "runtime.cgocall", "runtime.callCgo", "runtime.systemstack",
	    "runtime.mmap",    "runtime.munmap",  "runtime.madvise"};

	if (!frame->function)
		return false;
	/* sysMap, sysUnusedOS ...: the runtime's layer over the system */
	if (strncmp(frame->function, "runtime.sys", 11) == 0 && frame->function[11] >= 'A' &&
	    frame->function[11] <= 'Z')
		return true;
	/* Few functions begin as one of these does, and sorting rows asks for each frame often. */
	if (frame->function[0] == '_' || frame->function[0] == 'x' || frame->function[0] == 'r')
		for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
			if (strncmp(frame->function, prefixes[i], strlen(prefixes[i])) == 0)
				return true;
	/* What cgo writes for each C function, main._Cfunc_grab. */
	return strstr(frame->function, "._Cfunc_") != NULL;
}

/* Sources of the standard libraries, as compilers write them down. */
static bool
is_library_file(const char *file)
{
	static const char *const prefixes[] = {"/rustc/", "/rust/deps/", "library/alloc/",
					       "library/core/", "library/std/"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (strncmp(file, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return strstr(file, "/include/c++/") != NULL;
}

/* Generic code of the C++ and Rust libraries is compiled into the program: its own code, but not
 * its names. */
static bool
is_library_code(const struct vmt_frame *frame)
{
	static const char *const prefixes[] = {
	    "std::",	"__gnu_cxx::",	 "operator new",      "void std::",
	    "alloc::",	"core::",	 "<alloc::",	      "__rust",
	    "runtime.", "runtime/",	 "internal/runtime/", "x_cgo_",
	    "_cgo_",	"internal/cpu.", "syscall.",	      "golang.org/x/sys/"};

	if (frame->file && is_library_file(frame->file))
		return true;
	if (!frame->function)
		return false;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (strncmp(frame->function, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return vmt_rank_is_passage(frame) || vmt_allocator_wrappers_has(frame->function);
}

/* The first frame after the C code of a Go program that begins at `first` and has no names, or
 * `first`: what Go code is called says more than addresses do. */
static size_t
skip_nameless_c(const struct vmt_stack_frames *stack, size_t first)
{
	for (size_t i = first; i < stack->count; i++) {
		const char *function = stack->frames[i].function;

		if (!function)
			continue;
		return strncmp(function, "runtime.asmcgocall", 18) == 0 ||
			       strncmp(function, "runtime.callCgo", 15) == 0 ||
			       strncmp(function, "runtime.mmap", 12) == 0
			   ? i
			   : first;
	}
	return first;
}

size_t
vmt_rank_owner(const struct vmt_stack_frames *stack)
{
	size_t own = stack->count;

	for (size_t i = 0; i < stack->count; i++) {
		if (vmt_report_is_c_library(&stack->frames[i]))
			continue;
		i = skip_nameless_c(stack, i);
		if (!is_library_code(&stack->frames[i]))
			return i;
		if (own == stack->count && !vmt_rank_is_passage(&stack->frames[i]))
			own = i;
	}
	return own < stack->count ? own : 0;
}

size_t
vmt_rank_depth(const struct vmt_stack_frames *stack)
{
	size_t depth = stack->count;

	while (depth > 0) {
		const struct vmt_frame *frame = &stack->frames[depth - 1];

		if (!vmt_report_is_c_library(frame) &&
		    !(frame->function && strcmp(frame->function, "_start") == 0))
			break;
		depth--;
	}
	return depth ? depth : stack->count;
}

void
vmt_rank_walk_begin(struct vmt_rank_walk *walk, const struct vmt_stack_frames *stack,
		    size_t callers)
{
	size_t owner = vmt_rank_owner(stack);
	size_t depth = vmt_rank_depth(stack);

	*walk = (struct vmt_rank_walk){
	    .stack = stack, .next = owner, .end = depth > owner ? depth : owner + 1};
	if (stack->count == 0)
		walk->end = owner;
	walk->callers = callers;
}

/* The next frame that is no passage and, where `named`, has a name; the end where there is none. */
static size_t
find_frame(const struct vmt_rank_walk *walk, bool named, bool *skipped)
{
	*skipped = false;
	for (size_t i = walk->next; i < walk->end; i++) {
		const struct vmt_frame *frame = &walk->stack->frames[i];

		if (vmt_rank_is_passage(frame))
			continue;
		if (!named || frame->function)
			return i;
		*skipped = true;
	}
	return walk->end;
}

static const struct vmt_frame *
show_frame(struct vmt_rank_walk *walk, size_t index)
{
	const struct vmt_frame *frame = &walk->stack->frames[index];

	walk->next = index + 1;
	walk->begun = true;
	walk->named |= frame->function != NULL;
	return frame;
}

/* What tells rows without a name apart. */
static const struct vmt_frame *
next_name(struct vmt_rank_walk *walk)
{
	size_t index = find_frame(walk, true, &walk->skipped);

	if (index == walk->end)
		index = find_frame(walk, false, &walk->skipped);
	if (index == walk->end ||
	    !(walk->stack->frames[index].function || walk->stack->frames[index].module))
		return NULL;
	walk->named = true;
	return show_frame(walk, index);
}

const struct vmt_frame *
vmt_rank_walk_next(struct vmt_rank_walk *walk)
{
	size_t index;

	walk->skipped = false;
	if (walk->next >= walk->end)
		return NULL;
	if (!walk->begun)
		return show_frame(walk, walk->next);
	if (walk->callers == 0)
		return walk->named ? NULL : next_name(walk);
	walk->callers--;
	index = find_frame(walk, false, &walk->skipped);
	return index < walk->end ? show_frame(walk, index) : NULL;
}
