/* Which report reads a digest, and which makes one. */
#include "tools/model/report/digest.h"
#include "tools/read/trace/merge.h"
#include "tools/read/trace/trace_cache.h"

#define LARGE_EVENTS 8000000u /* of the heap: about a second's replay */
#define FOLD_EVENTS 65536u    /* many times what beginning and ending a fold costs */

static bool
is_wanted(const struct vmt_report_draft *draft)
{
	return draft->options->cache == VMT_REPORT_CACHE_ALL ||
	       vmt_digest_heap_events(draft) >= LARGE_EVENTS;
}

static int
begin_reading(struct vmt_report_draft *draft, struct vmt_err *err)
{
	unsigned char *bytes;
	size_t count;

	if (draft->ignores_kept || !vmt_trace_cache_read(&draft->cache_key, &bytes, &count))
		return 0;
	draft->digest = vmt_digest_reader_new(draft, bytes, count);
	draft->has_kept = true;
	return draft->digest ? vmt_digest_reader_leave_out(draft->digest, err) : 0;
}

int
vmt_report_digest_begin(struct vmt_report_draft *draft, struct vmt_err *err)
{
	bool is_large = draft->options->cache == VMT_REPORT_CACHE_LARGE;
	int status;

	if (draft->options->cache == VMT_REPORT_CACHE_OFF || !is_wanted(draft) ||
	    !vmt_digest_suits(draft))
		return 0;
	vmt_trace_cache_describe(draft->trace, &draft->cache_key);
	status = begin_reading(draft, err);
	if (status || draft->has_kept || !draft->cache_key.is_known)
		return status;
	draft->digest_writer = vmt_digest_writer_new(draft, is_large ? FOLD_EVENTS : 0);
	if (draft->digest_writer)
		vmt_merge_watch(draft->merge);
	return 0;
}

void
vmt_report_digest_keep(struct vmt_report_draft *draft)
{
	const struct vmt_byte_buffer *digest =
	    draft->digest_writer ? vmt_digest_writer_finish(draft->digest_writer) : NULL;

	if (digest)
		vmt_trace_cache_write(draft->trace, &draft->cache_key, digest->bytes,
				      digest->count);
	vmt_digest_writer_free(draft->digest_writer);
	draft->digest_writer = NULL;
}

void
vmt_report_digest_free(struct vmt_report_draft *draft)
{
	vmt_digest_writer_free(draft->digest_writer);
	vmt_digest_reader_free(draft->digest);
	draft->digest_writer = NULL;
	draft->digest = NULL;
}
