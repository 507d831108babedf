#include "tools/model/report/report_draft.h"

#include <errno.h>
#include <inttypes.h>

static int
read_packed(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk, const char *path,
	    struct vmt_err *err)
{
	const unsigned char *bytes;
	size_t length;
	int status = vmt_trace_payload(draft->trace, chunk, &bytes, &length, err);

	if (status)
		return status;
	if (!draft->packed)
		draft->packed = vmt_packed_names_new();
	status = draft->packed ? vmt_packed_names_read(draft->packed, bytes, length) : -ENOMEM;
	if (status == -ENOMEM)
		return vmt_report_draft_no_memory(err, path);
	return status
		   ? vmt_err_set(err, -status,
				 "%s: the names in its chunk %" PRIu64 " %s: vmtrace pack makes "
				 "them anew",
				 path, chunk->header.sequence,
				 status == -E2BIG ? "are more than any program has" : "are damaged")
		   : 0;
}

int
vmt_report_names_open(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	const struct vmt_report_options *options = draft->options;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	draft->names = vmt_lookup_new(NULL);
	if (!draft->names)
		return vmt_report_draft_no_memory(err, path);
	for (size_t i = 0; i < count; i++) {
		int status = chunks[i].header.kind == VMT_CHUNK_NAMES
				 ? read_packed(draft, &chunks[i], path, err)
				 : 0;

		if (status)
			return status;
	}
	if (draft->packed) {
		draft->report.packed.modules = vmt_packed_names_modules(draft->packed);
		draft->report.packed.addresses = vmt_packed_names_addresses(draft->packed);
	}
	vmt_lookup_set_sources(
	    draft->names,
	    &(struct vmt_lookup_sources){.root = options->sysroot,
					 .packed = draft->packed,
					 .files_first = options->sysroot || options->all_names});
	return 0;
}

/* Each address of a site's stack, as frames.h, allocators.h and go_sites.h ask for it. */
static void
ask_site(struct vmt_report_draft *draft, struct vmt_sites *sites, uint32_t site, bool is_touch)
{
	const struct vmt_site_entry *entry = vmt_sites_get(sites, site);
	const uint32_t *spans = vmt_sites_spans(sites, entry);
	uint32_t count = 0;
	const uint64_t *addresses =
	    is_touch ? vmt_report_touch_stack(draft->trace, entry->key.stack, &count)
		     : vmt_trace_stack(draft->trace, entry->key.stack, &count);

	for (uint32_t i = 0; addresses && spans && i < count && i < entry->frames; i++) {
		const struct vmt_span *span =
		    spans[i] ? vmt_module_history_span(draft->replay->history, spans[i]) : NULL;
		struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
		struct vmt_module module;

		if (!span || !vmt_trace_module(draft->trace, span->module, &module))
			continue;
		(void)vmt_lookup_resolve(draft->names, &module, addresses[i] - span->bias - 1,
					 frames);
		(void)vmt_lookup_trouble(draft->names, &module);
	}
}

static void
ask_sites(struct vmt_report_draft *draft, struct vmt_sites *sites, bool is_touch)
{
	uint32_t count = vmt_sites_count(sites);

	for (uint32_t i = 0; i < count; i++) {
		vmt_report_draft_tell(draft, "looking up names", i, count);
		ask_site(draft, sites, i, is_touch);
	}
}

int
vmt_report_names_tell(struct vmt_report_draft *draft)
{
	if (!draft->options->all_names)
		return 0;
	ask_sites(draft, draft->replay->sites, false);
	ask_sites(draft, draft->replay->touch_sites, true);
	return vmt_lookup_visit(draft->names, draft->options->all_names);
}
