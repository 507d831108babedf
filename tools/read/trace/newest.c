#include "tools/read/trace/newest.h"

#include "base/ticks.h"
#include "format/codec.h"
#include "tools/read/trace/chunk_index.h"
#include "tools/read/trace/payload.h"

#include <string.h>

#define CHUNKS_AT_A_TIME 64u /* between two looks at the clock */

/* Words without the NULs between them. */
static void
set_title(struct vmt_newest *newest, const void *bytes, size_t length)
{
	char *title = newest->title;

	if (length > sizeof(newest->title) - 1)
		length = sizeof(newest->title) - 1;
	memset(title, 0, sizeof(newest->title));
	memcpy(title, bytes, length);
	while (length > 0 && (title[length - 1] == '\0' || title[length - 1] == ' '))
		title[--length] = '\0';
	for (size_t i = 0; i < length; i++)
		if (title[i] == '\0')
			title[i] = ' ';
}

void
vmt_newest_begin(struct vmt_newest *newest, const struct vmt_head *head)
{
	size_t length = head->cmdline_bytes;

	*newest =
	    (struct vmt_newest){.offset = head->chunks_offset, .rss_bytes = VMT_FIGURE_UNKNOWN};
	if (length > VMT_CMDLINE_BYTES)
		length = VMT_CMDLINE_BYTES;
	if (length > 0)
		set_title(newest, head->cmdline, length);
	else
		set_title(newest, head->exe, strnlen(head->exe, VMT_EXE_BYTES));
}

static void
note(struct vmt_newest *newest, const struct vmt_trace_chunk *chunk)
{
	switch (chunk->header.kind) {
	case VMT_CHUNK_USAGE:
		newest->usage = *chunk;
		return;
	case VMT_CHUNK_SNAPSHOT:
		newest->snapshot = *chunk;
		return;
	case VMT_CHUNK_TITLE:
		newest->title_chunk = *chunk;
		return;
	default:
		return;
	}
}

/* false: the file has no further chunk, or not all of it. */
static bool
pass(struct vmt_newest *newest, const struct vmt_file_reader *file, const struct vmt_head *head)
{
	struct vmt_trace_chunk chunk = {.payload_offset = newest->offset + sizeof(chunk.header)};

	if (!vmt_file_reader_read(file, newest->offset, &chunk.header, sizeof(chunk.header)) ||
	    !vmt_chunk_index_is_sound(&chunk.header, head, newest->sequence) ||
	    chunk.header.payload_bytes > file->bytes - chunk.payload_offset)
		return false;
	note(newest, &chunk);
	newest->sequence++;
	newest->offset =
	    chunk.payload_offset + ((chunk.header.payload_bytes + UINT64_C(7)) & ~UINT64_C(7));
	return true;
}

static void
take_rss(struct vmt_newest *newest, uint64_t monotonic_ns, uint64_t rss_bytes)
{
	if (rss_bytes == VMT_FIGURE_UNKNOWN ||
	    (newest->rss_bytes != VMT_FIGURE_UNKNOWN && monotonic_ns < newest->monotonic_ns))
		return;
	newest->rss_bytes = rss_bytes;
	newest->monotonic_ns = monotonic_ns;
}

static void
take_usage(struct vmt_newest *newest, const struct vmt_chunk *chunk, const unsigned char *bytes,
	   size_t length)
{
	struct vmt_usage usage;

	for (size_t at = 0, step; at < length; at += step) {
		step = vmt_codec_get_usage(chunk, bytes + at, length - at, &usage);
		if (step == 0)
			return;
		take_rss(newest, usage.monotonic_ns, usage.rss_bytes);
	}
}

static void
take_snapshot(struct vmt_newest *newest, const struct vmt_chunk *chunk, const unsigned char *bytes,
	      size_t length)
{
	struct vmt_snapshot_head head;

	if (vmt_codec_get_snapshot_head(chunk, bytes, length, &head) != 0 &&
	    head.source != VMT_RESIDENCY_NONE)
		take_rss(newest, head.monotonic_ns, head.resident_bytes);
}

/* One that is not whole may be still being written: it stays to be read. */
static void
read_one(struct vmt_newest *newest, struct vmt_file_reader *file, struct vmt_trace_chunk *chunk)
{
	struct vmt_payload payload = {.stored = {NULL, 0}};
	const unsigned char *bytes;
	struct vmt_err err = {""};
	size_t length;

	if (chunk->payload_offset == 0 ||
	    !vmt_chunk_index_is_whole(file, &chunk->header, chunk->payload_offset))
		return;
	if (vmt_payload_read(&payload, file, chunk, &bytes, &length, &err) == 0) {
		if (chunk->header.kind == VMT_CHUNK_USAGE)
			take_usage(newest, &chunk->header, bytes, length);
		else if (chunk->header.kind == VMT_CHUNK_SNAPSHOT)
			take_snapshot(newest, &chunk->header, bytes, length);
		else if (length > 0)
			set_title(newest, bytes, length);
	}
	chunk->payload_offset = 0;
	vmt_payload_free(&payload);
}

bool
vmt_newest_read(struct vmt_newest *newest, struct vmt_file_reader *file,
		const struct vmt_head *head, uint64_t until_ns)
{
	for (unsigned passed = 1; pass(newest, file, head); passed++)
		if (passed % CHUNKS_AT_A_TIME == 0 && vmt_ticks_monotonic_ns() >= until_ns)
			return false;
	read_one(newest, file, &newest->usage);
	read_one(newest, file, &newest->snapshot);
	read_one(newest, file, &newest->title_chunk);
	return true;
}
