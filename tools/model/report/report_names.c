#include "tools/model/report/report_draft.h"
#include "tools/read/trace/go_heap_chunk.h"
#include "tools/read/trace/go_large_chunk.h"
#include "tools/read/trace/go_profile_chunk.h"

#include "tools/read/trace/process_end.h"
#include "tools/read/trace/snapshot_decode.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int
read_packed(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk,
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
	return status ? vmt_err_set(err, -status, "%s", strerror(-status)) : 0;
}

/* Names that make no sense are dropped, all of them: which of the others are right is not known. */
static int
open_packed(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	int status = 0;

	for (size_t i = 0; i < count && !status; i++)
		if (chunks[i].header.kind == VMT_CHUNK_NAMES)
			status = read_packed(draft, &chunks[i], err);
	if (status == -ENOMEM)
		return vmt_report_draft_no_memory(err, path);
	if (status == -EBADMSG || status == -E2BIG) {
		vmt_packed_names_free(draft->packed);
		draft->packed = NULL;
		draft->report.packed.are_damaged = true;
		status = 0;
	}
	if (draft->packed) {
		draft->report.packed.modules = vmt_packed_names_modules(draft->packed);
		draft->report.packed.addresses = vmt_packed_names_addresses(draft->packed);
	}
	return status;
}

/* A snapshot that makes no sense tells of no file; who reports on it says so. */
static int
add_recorded(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk)
{
	struct vmt_snapshot snapshot = {.mappings = NULL};
	struct vmt_err err = {{0}};
	int status = vmt_snapshot_decode(&snapshot, draft->trace, chunk, &err);

	if (status)
		return status == -ENOMEM ? status : 0;
	for (uint32_t i = 0; i < snapshot.head.mappings && !status; i++) {
		const struct vmt_mapping *mapping = &snapshot.mappings[i].mapping;

		if (mapping->inode && (mapping->protection & PROT_EXEC))
			status = vmt_recorded_files_add(draft->recorded, mapping->device,
							mapping->inode);
	}
	vmt_snapshot_decode_free(&snapshot);
	return status;
}

static bool
lacks_a_build_id(const struct vmt_trace *trace)
{
	struct vmt_module module;

	for (uint32_t id = VMT_MODULE_FIRST_ID; vmt_trace_module(trace, id, &module);
	     id = vmt_module_table_next(id, &module))
		if (module.build_id_bytes == 0)
			return true;
	return false;
}

bool
vmt_report_names_want_files(const struct vmt_report_draft *draft)
{
	const struct vmt_report_options *options = draft->options;

	return (options->sysroot || options->all_names || !draft->packed) &&
	       lacks_a_build_id(draft->trace);
}

/* Which files the process had mapped, for those that are known by nothing else. */
int
vmt_report_names_find_files(struct vmt_report_draft *draft)
{
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	int status = 0;

	if (!draft->recorded)
		draft->recorded = vmt_recorded_files_new(head->start_unix_ns);
	if (!draft->recorded)
		return -ENOMEM;
	/* An inode's number of another machine, or of a file system that was mounted anew, may be
	 * another file's here. */
	for (; vmt_process_end_is_this_boot(head) && draft->recorded_at < count && !status;
	     draft->recorded_at++)
		if (chunks[draft->recorded_at].header.kind == VMT_CHUNK_SNAPSHOT)
			status = add_recorded(draft, &chunks[draft->recorded_at]);
	return status;
}

int
vmt_report_names_open(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	const struct vmt_report_options *options = draft->options;
	bool files_first = options->sysroot || options->all_names;
	int status;

	draft->names = vmt_lookup_new(NULL);
	if (!draft->names)
		return vmt_report_draft_no_memory(err, path);
	status = open_packed(draft, path, err);
	if (status)
		return status;
	if (vmt_report_names_want_files(draft) && vmt_report_names_find_files(draft))
		return vmt_report_draft_no_memory(err, path);
	vmt_lookup_set_sources(draft->names,
			       &(struct vmt_lookup_sources){.root = options->sysroot,
							    .recorded = draft->recorded,
							    .packed = draft->packed,
							    .files_first = files_first});
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

void
vmt_report_names_ask(struct vmt_report_draft *draft, uint32_t first)
{
	uint32_t count = vmt_sites_count(draft->replay->sites);

	for (uint32_t i = first; i < count; i++)
		ask_site(draft, draft->replay->sites, i, false);
}

/* An address that no site has, in the module that is there at the end. */
static void
ask_address(struct vmt_report_draft *draft, uint64_t address)
{
	uint32_t span = vmt_module_history_find(draft->replay->history, address - 1);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module;

	if (!span || !vmt_trace_module(
			 draft->trace,
			 vmt_module_history_span(draft->replay->history, span)->module, &module))
		return;
	(void)vmt_lookup_resolve(
	    draft->names, &module,
	    address - vmt_module_history_span(draft->replay->history, span)->bias - 1, frames);
	(void)vmt_lookup_trouble(draft->names, &module);
}

static void
ask_creators(struct vmt_report_draft *draft, const struct vmt_chunk *header,
	     const unsigned char *bytes, size_t length)
{
	struct vmt_go_heap heap;
	struct vmt_err err = {{0}};

	if (vmt_go_heap_chunk_read(&heap, header, bytes, length, &err))
		return;
	for (uint64_t i = 0; i < heap.head.goroutines; i++)
		ask_address(draft, heap.goroutines[i].creator);
	vmt_go_heap_chunk_free(&heap);
}

static void
ask_profile(struct vmt_report_draft *draft, const struct vmt_chunk *header,
	    const unsigned char *bytes, size_t length)
{
	struct vmt_go_profile_read profile;
	struct vmt_err err = {{0}};

	if (vmt_go_profile_chunk_read(&profile, header, bytes, length, &err))
		return;
	for (size_t i = 0; i < profile.address_count; i++)
		ask_address(draft, profile.addresses[i]);
	vmt_go_profile_chunk_free(&profile);
}

static void
ask_large(struct vmt_report_draft *draft, const struct vmt_chunk *header,
	  const unsigned char *bytes, size_t length)
{
	struct vmt_go_large_read large;
	struct vmt_err err = {{0}};

	if (vmt_go_large_chunk_read(&large, header, bytes, length, &err))
		return;
	for (size_t i = 0; i < large.address_count; i++)
		ask_address(draft, large.addresses[i]);
	vmt_go_large_chunk_free(&large);
}

/* Go statements and allocating lines, of each snapshot. What can't be read, no report will show. */
static void
ask_go(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk)
{
	static const struct {
		enum vmt_chunk_kind kind;
		void (*ask)(struct vmt_report_draft *draft, const struct vmt_chunk *header,
			    const unsigned char *bytes, size_t length);
	} kinds[] = {{VMT_CHUNK_GO_HEAP, ask_creators},
		     {VMT_CHUNK_GO_PROFILE, ask_profile},
		     {VMT_CHUNK_GO_LARGE, ask_large}};
	struct vmt_err err = {{0}};
	const unsigned char *bytes;
	size_t length;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (chunk->header.kind == kinds[i].kind &&
		    vmt_trace_payload(draft->trace, chunk, &bytes, &length, &err) == 0)
			kinds[i].ask(draft, &chunk->header, bytes, length);
}

int
vmt_report_names_tell(struct vmt_report_draft *draft)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	if (!draft->options->all_names)
		return 0;
	ask_sites(draft, draft->replay->sites, false);
	ask_sites(draft, draft->replay->touch_sites, true);
	for (size_t i = 0; i < count; i++)
		ask_go(draft, &chunks[i]);
	return vmt_lookup_visit(draft->names, draft->options->all_names);
}
