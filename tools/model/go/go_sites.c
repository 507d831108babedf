#include "tools/model/go/go_sites.h"

#include "format/event.h"
#include "tools/model/go/go_classes.h"

#include <stdlib.h>

#define MAX_FRAMES 256u
#define NOT_JUDGED 0u

struct vmt_go_sites {
	struct vmt_go_sites_input input;
	const struct vmt_go_code_roles *code; /* NULL: the trace tells nothing that makes sense */
	unsigned char *verdicts;	      /* by site: class + 1; VMT_CLASSES + 1 = not Go's */
	uint32_t room;
	uint32_t span; /* of the runtime that made the first call judged; 0 = none yet */
	bool several;
};

struct vmt_go_sites *
vmt_go_sites_new(const struct vmt_go_sites_input *input)
{
	const struct vmt_go_code_roles *code = &vmt_trace_head(input->trace)->go_roles;
	struct vmt_go_sites *owners = calloc(1, sizeof(*owners));

	if (!owners)
		return NULL;
	owners->input = *input;
	owners->code = vmt_go_roles_check(code) ? code : NULL;
	return owners;
}

void
vmt_go_sites_free(struct vmt_go_sites *owners)
{
	if (!owners)
		return;
	free(owners->verdicts);
	free(owners);
}

/* What the names of an address tell; how many they are, at least one. */
static size_t
name_address(const struct vmt_go_sites *owners, uint64_t address, uint32_t span_id,
	     enum vmt_go_role roles[VMT_SYMBOLS_MAX_INLINED])
{
	const struct vmt_span *span =
	    span_id ? vmt_module_history_span(owners->input.history, span_id) : NULL;
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module;
	size_t count = 0;

	if (span && vmt_trace_module(owners->input.trace, span->module, &module))
		count = vmt_lookup_resolve(owners->input.symbols, &module, address - span->bias - 1,
					   frames);
	for (size_t i = 0; i < count; i++)
		roles[i] = vmt_go_classes_role(&frames[i]);
	if (!count)
		roles[0] = VMT_GO_ROLE_CROSSING;
	return count ? count : 1;
}

/* The roles on a stack, innermost first: as many as there is room for. What the trace itself tells
 * comes first: it holds whatever became of the file. */
static size_t
judge_stack(const struct vmt_go_sites *owners, const struct vmt_site_entry *entry,
	    enum vmt_go_role roles[MAX_FRAMES])
{
	const struct vmt_go_code_roles *code = owners->code;
	const uint32_t *spans = vmt_sites_spans(owners->input.sites, entry);
	uint32_t count = 0;
	const uint64_t *addresses = vmt_trace_stack(owners->input.trace, entry->key.stack, &count);
	size_t used = 0;

	for (uint32_t i = 0; addresses && spans && i < count && i < entry->frames; i++) {
		if (used + VMT_SYMBOLS_MAX_INLINED > MAX_FRAMES)
			break;
		roles[used] = code ? vmt_go_roles_at(code, addresses[i] - 1) : VMT_GO_ROLE_UNKNOWN;
		used += roles[used] != VMT_GO_ROLE_UNKNOWN
			    ? 1
			    : name_address(owners, addresses[i], spans[i], roles + used);
	}
	return used;
}

static enum vmt_class_id
judge(const struct vmt_go_sites *owners, uint32_t site)
{
	const struct vmt_site_entry *entry = vmt_sites_get(owners->input.sites, site);
	enum vmt_go_role roles[MAX_FRAMES];
	size_t count = judge_stack(owners, entry, roles);

	if (entry->key.kind == VMT_EVENT_THREAD)
		return vmt_go_classes_of_thread(roles, count, VMT_CLASSES);
	return vmt_go_classes_of_stack(roles, count, VMT_CLASSES);
}

/* Each shared object that is built by Go's own linker brings a runtime. */
static void
note_runtime(struct vmt_go_sites *owners, uint32_t site)
{
	const struct vmt_site_entry *entry = vmt_sites_get(owners->input.sites, site);
	const uint32_t *spans = vmt_sites_spans(owners->input.sites, entry);

	if (entry->key.kind == VMT_EVENT_THREAD || !spans || !entry->frames || !spans[0])
		return;
	if (owners->span && vmt_module_history_span(owners->input.history, owners->span)->module !=
				vmt_module_history_span(owners->input.history, spans[0])->module)
		owners->several = true;
	owners->span = spans[0];
}

bool
vmt_go_sites_several(const struct vmt_go_sites *owners)
{
	return owners->several;
}

bool
vmt_go_sites_module(const struct vmt_go_sites *owners, struct vmt_module *module)
{
	return owners->span &&
	       vmt_trace_module(
		   owners->input.trace,
		   vmt_module_history_span(owners->input.history, owners->span)->module, module);
}

static bool
make_room(struct vmt_go_sites *owners, uint32_t site)
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
vmt_go_sites_class(struct vmt_go_sites *owners, uint32_t site, enum vmt_class_id otherwise)
{
	enum vmt_class_id class;

	if (site == VMT_SITE_NONE || !make_room(owners, site))
		return otherwise;
	if (owners->verdicts[site] == NOT_JUDGED) {
		class = judge(owners, site);
		if (class != VMT_CLASSES)
			note_runtime(owners, site);
		owners->verdicts[site] = (unsigned char)(class + 1);
	}
	class = (enum vmt_class_id)(owners->verdicts[site] - 1);
	return class == VMT_CLASSES ? otherwise : class;
}
