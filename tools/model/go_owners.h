/*
 * go_owners.h: did a Go runtime make this call, and what for?
 *
 * The class of a site's mappings by the functions on its stack: what the
 * trace says of their code (format/go_roles.h), else their names (go_classes.h). Each site is
 * judged once. One thread at a time. What can't be told (no memory, no such stack) is `otherwise`.
 */
#ifndef VMT_GO_OWNERS_H
#define VMT_GO_OWNERS_H

#include "tools/model/classes.h"
#include "tools/model/sites.h"
#include "tools/read/symbols/lookup.h"
#include "tools/read/trace/trace.h"

struct vmt_go_owners;

struct vmt_go_owners_input {
	const struct vmt_trace *trace;
	const struct vmt_eras *eras;
	struct vmt_sites *sites;
	struct vmt_lookup *symbols;
};

struct vmt_go_owners *vmt_go_owners_new(const struct vmt_go_owners_input *input);
void vmt_go_owners_free(struct vmt_go_owners *owners);

/* Whether calls of Go runtimes in more than one file were judged. */
bool vmt_go_owners_several(const struct vmt_go_owners *owners);

enum vmt_class_id vmt_go_owners_class(struct vmt_go_owners *owners, uint32_t site,
				      enum vmt_class_id otherwise);

#endif
