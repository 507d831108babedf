/*
 * go_sites.h: which call sites are a Go runtime's, and what for.
 *
 * The class of a site's mappings by the functions on its stack: what the
 * trace says of their code (format/go_roles.h), else their names (go_classes.h). Each site is
 * judged once. One thread at a time. What can't be told (no memory, no such stack) is `otherwise`.
 */
#ifndef VMT_GO_SITES_H
#define VMT_GO_SITES_H

#include "tools/model/space/classes.h"
#include "tools/model/space/sites.h"
#include "tools/read/symbols/lookup.h"
#include "tools/read/trace/trace.h"

struct vmt_go_sites;

struct vmt_go_sites_input {
	const struct vmt_trace *trace;
	const struct vmt_module_history *history;
	struct vmt_sites *sites;
	struct vmt_lookup *symbols;
};

struct vmt_go_sites *vmt_go_sites_new(const struct vmt_go_sites_input *input);
void vmt_go_sites_free(struct vmt_go_sites *owners);

/* Whether calls of Go runtimes in more than one file were judged. */
bool vmt_go_sites_several(const struct vmt_go_sites *owners);

/* The file that holds the runtime whose call was judged last. False: none was. */
bool vmt_go_sites_module(const struct vmt_go_sites *owners, struct vmt_module *module);

enum vmt_class_id vmt_go_sites_class(struct vmt_go_sites *owners, uint32_t site,
				     enum vmt_class_id otherwise);

#endif
