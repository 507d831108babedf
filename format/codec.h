/*
 * codec.h: codes snapshots inside chunks
 *
 * Bytes, LEB128 varints, deltas against the previous record of the same payload (zero at its start,
 * so each chunk decodes alone). docs/trace-format.md gives the layout byte by byte.
 * Freestanding: no allocation, no I/O. Thread and signal safe on separate cursors.
 *
 * Encoders never write past end: a record that does not fit is not begun and false comes back.
 * Decoders never read past end and return false on malformed bytes; bytes are untrusted.
 */
#ifndef VMT_CODEC_H
#define VMT_CODEC_H

#include "format/chunk.h"
#include "format/untraced.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that any one mapping (without its path) or run may need. */
#define VMT_CODEC_MAPPING_MAX_BYTES 64u
#define VMT_CODEC_RUN_MAX_BYTES 32u

struct vmt_encoder {
	unsigned char *at; /* next byte to write */
	unsigned char *end;
	uint64_t address; /* what the next delta counts from */
};

struct vmt_decoder {
	const unsigned char *at; /* next byte to read; = end when all was read */
	const unsigned char *end;
	uint64_t address; /* what the next delta counts from */
};

void vmt_codec_begin_encode(struct vmt_encoder *encoder, void *bytes, size_t length);
void vmt_codec_begin_decode(struct vmt_decoder *decoder, const void *bytes, size_t length);

/* The head of a SNAPSHOT payload, and one record of USAGE or UNTRACED, of whatever version: what
 * the trace's lack is VMT_FIGURE_UNKNOWN, what they have more is passed over. Returns how many
 * bytes of the payload it is; 0 where it does not fit into length. */
size_t vmt_codec_get_snapshot_head(const struct vmt_chunk *chunk, const unsigned char *payload,
				   size_t length, struct vmt_snapshot_head *head);
size_t vmt_codec_usage_bytes(const struct vmt_chunk *chunk); /* of one record; never 0 */
size_t vmt_codec_get_usage(const struct vmt_chunk *chunk, const unsigned char *at, size_t length,
			   struct vmt_usage *usage);
size_t vmt_codec_get_untraced(const struct vmt_chunk *chunk, const unsigned char *at, size_t length,
			      struct vmt_untraced *record);

/* A snapshot payload: struct vmt_snapshot_head in place (native layout), then for each mapping one
 * put_mapping followed by its runs, the runs' count given with the mapping. Runs lie inside their
 * mapping, in rising order, and do not overlap. */
bool vmt_codec_put_mapping(struct vmt_encoder *encoder, const struct vmt_mapping *mapping,
			   uint32_t runs);
bool vmt_codec_get_mapping(struct vmt_decoder *decoder, struct vmt_mapping *mapping,
			   uint32_t *runs);
bool vmt_codec_put_run(struct vmt_encoder *encoder, const struct vmt_run *run);
bool vmt_codec_get_run(struct vmt_decoder *decoder, struct vmt_run *run);

#endif
