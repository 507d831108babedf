#include "tools/read/trace/zstd.h"

#include "base/atomic.h"

#include <zstd.h>

/* The collector runs beside what it measures: cheap beats small. */
#define LEVEL 1

/* A chunk of events is short and half noise. A table of its places that stays in the nearest cache
 * costs it a quarter less time and two bytes in a hundred. */
#define SHORT_BYTES (128u << 10)
#define SHORT_HASH_LOG 11

struct vmt_zstd_packer *
vmt_zstd_packer_new(void)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();

	if (context)
		ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
	return (struct vmt_zstd_packer *)context;
}

void
vmt_zstd_packer_free(struct vmt_zstd_packer *packer)
{
	ZSTD_freeCCtx((ZSTD_CCtx *)packer);
}

size_t
vmt_zstd_compress(void *context, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	size_t written;

	if (src_bytes == 0)
		return 0;
	if (context) {
		ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog,
				       src_bytes <= SHORT_BYTES ? SHORT_HASH_LOG : 0);
		written = ZSTD_compress2(context, dst, dst_bytes, src, src_bytes);
	} else {
		written = ZSTD_compress(dst, dst_bytes, src, src_bytes, LEVEL);
	}
	if (ZSTD_isError(written) || written >= src_bytes)
		return 0;
	return written;
}

/* Kept from one payload to the next, as to make one asks the processor what it can do, which traps
 * into a hypervisor. NULL while it is in use: who comes meanwhile makes another. */
static ZSTD_DCtx *spare;

static ZSTD_DCtx *
take_context(void)
{
	ZSTD_DCtx *found = vmt_atomic_load_acquire(&spare);

	if (found && vmt_atomic_cas(&spare, &found, NULL))
		return found;
	return ZSTD_createDCtx();
}

static void
give_back(ZSTD_DCtx *context)
{
	ZSTD_DCtx *nothing = NULL;

	if (!vmt_atomic_cas(&spare, &nothing, context))
		ZSTD_freeDCtx(context);
}

bool
vmt_zstd_decompress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	ZSTD_DCtx *context;
	size_t written;

	if (ZSTD_findFrameCompressedSize(src, src_bytes) != src_bytes)
		return false;
	context = take_context();
	if (!context)
		return false;
	written = ZSTD_decompressDCtx(context, dst, dst_bytes, src, src_bytes);
	give_back(context);
	return written == dst_bytes;
}

bool
vmt_zstd_claims(const void *src, size_t src_bytes, size_t raw_bytes)
{
	unsigned long long claimed = ZSTD_getFrameContentSize(src, src_bytes);

	return claimed == ZSTD_CONTENTSIZE_UNKNOWN || claimed == raw_bytes;
}

struct vmt_zstd_stream *
vmt_zstd_stream_new(void)
{
	return (struct vmt_zstd_stream *)ZSTD_createDStream();
}

void
vmt_zstd_stream_free(struct vmt_zstd_stream *stream)
{
	ZSTD_freeDStream((ZSTD_DStream *)stream);
}

bool
vmt_zstd_stream_step(struct vmt_zstd_stream *stream, const void *src, size_t src_bytes, size_t *at,
		     void *dst, size_t *dst_bytes, bool *is_done)
{
	ZSTD_inBuffer from = {src, src_bytes, *at};
	ZSTD_outBuffer to = {dst, *dst_bytes, 0};
	size_t left = ZSTD_decompressStream((ZSTD_DStream *)stream, &to, &from);

	*at = from.pos;
	*dst_bytes = to.pos;
	*is_done = left == 0;
	return !ZSTD_isError(left);
}
