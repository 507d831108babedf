/*
 * frames.h: stacks as functions and lines.
 *
 * Turns a site's addresses, each with the module of its time, into functions and lines. Addresses
 * are return addresses: lines are looked up one byte before. Of a page fault's stack the first one
 * is the instruction itself. Frames inside libvmtrace.so are left
 * out: the innermost ones, and those of hooks whose callee called another hook (pthread_create,
 * which allocates). Each address is looked up once. Strings go into the caller's set.
 */
#ifndef VMT_FRAMES_H
#define VMT_FRAMES_H

#include "tools/model/report/report.h"
#include "tools/model/space/sites.h"
#include "tools/read/symbols/jit_names.h"
#include "tools/read/symbols/lookup.h"
#include "tools/read/trace/trace.h"
#include "tools/string_set.h"

struct vmt_frames;

struct vmt_frames_input {
	const struct vmt_trace *trace;
	const struct vmt_module_history *history;
	const struct vmt_sites *sites;
	struct vmt_stack_source stacks; /* of the sites; zero: the trace's stack table */
	bool first_is_exact;		/* it is kept as one more than it is: touch_stacks.h */
	struct vmt_string_set *strings;
	struct vmt_lookup *symbols;	/* NULL: addresses and modules alone */
	struct vmt_jit_names *compiled; /* of code in no module; NULL: none is known */
	uint64_t *reused; /* counts addresses of which compiled knows several functions; or NULL */
};

struct vmt_frames *vmt_frames_new(const struct vmt_frames_input *input);
void vmt_frames_free(struct vmt_frames *frames);

/* Frames of a site's stack, to be freed by the caller. 0 or -ENOMEM. */
int vmt_frames_of_site(struct vmt_frames *frames, const struct vmt_site_entry *entry,
		       struct vmt_stack_frames *stack);

/* ... of one return address, in the module that is there now. */
int vmt_frames_of_address(struct vmt_frames *frames, uint64_t address,
			  struct vmt_stack_frames *stack);

/* How many modules without a build-id gave no names, as their files may have changed, and the path
 * of one of them. */
uint32_t vmt_frames_changed(const struct vmt_frames *frames, const char **example);

/* How many others gave no lines for a reason, and one of them with its reason (NULL = none). */
uint32_t vmt_frames_troubles(const struct vmt_frames *frames, const char **example);

#endif
