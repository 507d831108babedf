#include "tools/read/trace/snapshot_decode.h"

#include "format/codec.h"
#include "tools/read/trace/zero_pages.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a payload holds, found by the first pass over it; the second fills memory of this size. */
struct sizes {
	uint64_t mappings;
	uint64_t runs;
	uint64_t path_bytes;
};

static bool
is_page_aligned(uint64_t value)
{
	return value % VMT_PAGE_LEAST_BYTES == 0;
}

/* A hugetlb page is in no count of the kernel's that the other kinds are in, and no page is in two
 * places. Kinds of later versions may stand beside any. */
static bool
is_possible(uint32_t kind)
{
	const uint32_t others = VMT_RUN_PRESENT | VMT_RUN_SWAPPED | VMT_RUN_HUGE | VMT_RUN_FILE |
				VMT_RUN_ZERO | VMT_RUN_SHARED;
	const uint32_t both = VMT_RUN_PRESENT | VMT_RUN_SWAPPED;

	return !((kind & VMT_RUN_HUGETLB) && (kind & others)) && (kind & both) != both;
}

static bool
run_is_sound(const struct vmt_run *run, const struct vmt_mapping *mapping, uint64_t previous_end)
{
	return run->bytes > 0 && is_possible(run->kind) && is_page_aligned(run->start) &&
	       is_page_aligned(run->bytes) && run->start >= previous_end &&
	       run->start <= mapping->end && run->bytes <= mapping->end - run->start;
}

/* One mapping with its runs; stored where the snapshot has room for them already. */
static bool
decode_mapping(struct vmt_decoder *decoder, struct vmt_snapshot *snapshot, struct sizes *sizes,
	       uint64_t *previous_end)
{
	struct vmt_mapping mapping;
	uint64_t run_end;
	uint32_t runs;

	if (!vmt_codec_get_mapping(decoder, &mapping, &runs) || mapping.start < *previous_end ||
	    mapping.start >= mapping.end || !is_page_aligned(mapping.start) ||
	    !is_page_aligned(mapping.end))
		return false;
	*previous_end = mapping.end;
	if (snapshot->mappings != NULL) {
		struct vmt_snapshot_mapping *stored = &snapshot->mappings[sizes->mappings];
		char *path = snapshot->paths + sizes->path_bytes;

		memcpy(path, mapping.path, mapping.path_bytes);
		*stored = (struct vmt_snapshot_mapping){mapping, (uint32_t)sizes->runs, runs};
		stored->mapping.path = path;
	}
	sizes->mappings++;
	sizes->path_bytes += mapping.path_bytes;
	run_end = mapping.start;
	for (uint32_t i = 0; i < runs; i++) {
		struct vmt_run run;

		if (!vmt_codec_get_run(decoder, &run) || !run_is_sound(&run, &mapping, run_end))
			return false;
		run_end = run.start + run.bytes;
		if (snapshot->runs != NULL)
			snapshot->runs[sizes->runs] = run;
		sizes->runs++;
	}
	return true;
}

static bool
decode(struct vmt_snapshot *snapshot, const unsigned char *bytes, size_t length,
       struct sizes *sizes)
{
	struct vmt_decoder decoder;
	uint64_t previous_end = 0;

	*sizes = (struct sizes){0};
	vmt_codec_begin_decode(&decoder, bytes, length);
	while (decoder.at < decoder.end) {
		if (!decode_mapping(&decoder, snapshot, sizes, &previous_end))
			return false;
	}
	return sizes->mappings == snapshot->head.mappings && sizes->runs == snapshot->head.runs;
}

static bool
take_memory(struct vmt_snapshot *snapshot, const struct sizes *sizes)
{
	snapshot->mappings = malloc(sizes->mappings * sizeof(*snapshot->mappings) + 1);
	snapshot->runs = malloc(sizes->runs * sizeof(*snapshot->runs) + 1);
	snapshot->paths = malloc(sizes->path_bytes + 1);
	return snapshot->mappings != NULL && snapshot->runs != NULL && snapshot->paths != NULL;
}

static int
fill(struct vmt_snapshot *snapshot, const struct vmt_chunk *chunk, const unsigned char *bytes,
     size_t length)
{
	struct sizes sizes;
	struct sizes again;

	size_t head_bytes = vmt_codec_get_snapshot_head(chunk, bytes, length, &snapshot->head);

	if (head_bytes == 0)
		return -EBADMSG;
	bytes += head_bytes;
	length -= head_bytes;
	if (!decode(snapshot, bytes, length, &sizes))
		return -EBADMSG;
	if (!take_memory(snapshot, &sizes))
		return -ENOMEM;
	if (!decode(snapshot, bytes, length, &again))
		return -EBADMSG;
	assert(memcmp(&sizes, &again, sizeof(sizes)) == 0);
	return 0;
}

int
vmt_snapshot_decode(struct vmt_snapshot *snapshot, struct vmt_trace *trace,
		    const struct vmt_trace_chunk *chunk, struct vmt_err *err)
{
	const unsigned char *bytes;
	size_t length;
	int result;

	*snapshot = (struct vmt_snapshot){0};
	assert(chunk->header.kind == VMT_CHUNK_SNAPSHOT);
	result = vmt_trace_payload(trace, chunk, &bytes, &length, err);
	if (result != 0)
		return result;
	snapshot->coarse = chunk->header.flags & VMT_CHUNK_COARSE;
	result = fill(snapshot, &chunk->header, bytes, length);
	if (result == 0) {
		vmt_zero_pages_mark(snapshot);
		return 0;
	}
	vmt_snapshot_decode_free(snapshot);
	return vmt_err_set(err, -result, "%s: chunk %llu is a snapshot that %s",
			   vmt_trace_path(trace), (unsigned long long)chunk->header.sequence,
			   result == -ENOMEM ? "doesn't fit into memory" : "is malformed");
}

void
vmt_snapshot_decode_free(struct vmt_snapshot *snapshot)
{
	free(snapshot->mappings);
	free(snapshot->runs);
	free(snapshot->paths);
	*snapshot = (struct vmt_snapshot){0};
}
