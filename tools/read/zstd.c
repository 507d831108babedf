#include "tools/read/zstd.h"

#include <zstd.h>

/* The collector runs beside what it measures: cheap beats small. */
#define LEVEL 1

size_t
vmt_zstd_compress(void *context, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	size_t written;

	(void)context;
	if (src_bytes == 0)
		return 0;
	written = ZSTD_compress(dst, dst_bytes, src, src_bytes, LEVEL);
	if (ZSTD_isError(written) || written >= src_bytes)
		return 0;
	return written;
}

bool
vmt_zstd_decompress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	if (ZSTD_findFrameCompressedSize(src, src_bytes) != src_bytes)
		return false;
	return ZSTD_decompress(dst, dst_bytes, src, src_bytes) == dst_bytes;
}

bool
vmt_zstd_claims(const void *src, size_t src_bytes, size_t raw_bytes)
{
	unsigned long long claimed = ZSTD_getFrameContentSize(src, src_bytes);

	return claimed == ZSTD_CONTENTSIZE_UNKNOWN || claimed == raw_bytes;
}
