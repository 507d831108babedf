/*
 * zstd.h: compression of payloads; the one file that knows zstd.
 *
 * The one file that knows libzstd. Compressed bytes are untrusted: a frame that is not exactly the
 * size it should be is an error, and never writes past its room. Thread safe, but for a packer.
 */
#ifndef VMT_ZSTD_H
#define VMT_ZSTD_H

#include <stdbool.h>
#include <stddef.h>

/* The working memory of many compressions. NULL when there is none: each then takes, fills
 * and gives back its own. */
struct vmt_zstd_packer;
struct vmt_zstd_packer *vmt_zstd_packer_new(void);
void vmt_zstd_packer_free(struct vmt_zstd_packer *packer);

/* Fits struct vmt_collector_host.compress: bytes written, or 0 where the result would not be
 * smaller than src (it is to be stored raw). context: the packer, may be NULL. */
size_t vmt_zstd_compress(void *context, void *dst, size_t dst_bytes, const void *src,
			 size_t src_bytes);

/* One frame of exactly dst_bytes. */
bool vmt_zstd_decompress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes);

/* Any number of frames, piece by piece. NULL: no memory. */
struct vmt_zstd_stream;
struct vmt_zstd_stream *vmt_zstd_stream_new(void);
void vmt_zstd_stream_free(struct vmt_zstd_stream *stream);
/* Takes src from *at on, which moves; *dst_bytes is the room, then what was written. *is_done: a
 * frame has ended, and all of it is written. False: no zstd, or a window of more than 128 MiB. */
bool vmt_zstd_stream_step(struct vmt_zstd_stream *stream, const void *src, size_t src_bytes,
			  size_t *at, void *dst, size_t *dst_bytes, bool *is_done);

/* Whether a frame that names its content's size names this one: asked before memory is taken. */
bool vmt_zstd_claims(const void *src, size_t src_bytes, size_t raw_bytes);

#endif
