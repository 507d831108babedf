#include "tools/model/go_owners.h"

#include "format/event.h"
#include "tools/model/go_classes.h"

#include <stdlib.h>

#define MAX_FRAMES 256u
#define NOT_JUDGED 0u

struct vmt_go_owners {
	struct vmt_go_owners_input input;
	unsigned char *verdicts; /* by site: class + 1; VMT_CLASSES + 1 = not Go's */
	uint32_t room;
};

struct vmt_go_owners *
vmt_go_owners_new(const struct vmt_go_owners_input *input)
{
	struct vmt_go_owners *owners = calloc(1, sizeof(*owners));

	if (owners)
		owners->input = *input;
	return owners;
}

void
vmt_go_owners_free(struct vmt_go_owners *owners)
{
	if (!owners)
		return;
	free(owners->verdicts);
	free(owners);
}

/* The frames of a stack, innermost first: as many as there is room for. */
static size_t
name_stack(const struct vmt_go_owners *owners, const struct vmt_site_entry *entry,
	   struct vmt_symbol frames[MAX_FRAMES])
{
	const uint32_t *spans = vmt_sites_spans(owners->input.sites, entry);
	uint32_t count = 0;
	const uint64_t *addresses = vmt_trace_stack(owners->input.trace, entry->key.stack, &count);
	size_t used = 0;

	for (uint32_t i = 0; addresses && spans && i < count && i < entry->frames; i++) {
		const struct vmt_span *span =
		    spans[i] ? vmt_eras_span(owners->input.eras, spans[i]) : NULL;
		struct vmt_module module;

		if (used + VMT_SYMBOLS_MAX_INLINED > MAX_FRAMES)
			break;
		if (span && vmt_trace_module(owners->input.trace, span->module, &module))
			used += vmt_lookup_resolve(owners->input.symbols, &module,
						   addresses[i] - span->bias - 1, frames + used);
	}
	return used;
}

static enum vmt_class_id
judge(const struct vmt_go_owners *owners, uint32_t site)
{
	const struct vmt_site_entry *entry = vmt_sites_get(owners->input.sites, site);
	struct vmt_symbol frames[MAX_FRAMES];
	size_t count = name_stack(owners, entry, frames);

	if (entry->key.kind == VMT_EVENT_THREAD)
		return vmt_go_classes_of_thread(frames, count, VMT_CLASSES);
	return vmt_go_classes_of_stack(frames, count, VMT_CLASSES);
}

static bool
make_room(struct vmt_go_owners *owners, uint32_t site)
{
	uint32_t room = vmt_sites_count(owners->input.sites);
	unsigned char *verdicts;

	if (site < owners->room)
		return true;
	if (site >= room)
		return false;
	verdicts = realloc(owners->verdicts, room);
	if (!verdicts)
		return false;
	for (uint32_t i = owners->room; i < room; i++)
		verdicts[i] = NOT_JUDGED;
	owners->verdicts = verdicts;
	owners->room = room;
	return true;
}

enum vmt_class_id
vmt_go_owners_class(struct vmt_go_owners *owners, uint32_t site, enum vmt_class_id otherwise)
{
	enum vmt_class_id class;

	if (site == VMT_SITE_NONE || !make_room(owners, site))
		return otherwise;
	if (owners->verdicts[site] == NOT_JUDGED)
		owners->verdicts[site] = (unsigned char)(judge(owners, site) + 1);
	class = (enum vmt_class_id)(owners->verdicts[site] - 1);
	return class == VMT_CLASSES ? otherwise : class;
}
