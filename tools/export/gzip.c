#include "tools/export/gzip.h"

#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16) /* 32 KiB, with gzip's header: zlib.h */
#define MEMORY_LEVEL 8

unsigned char *
vmt_gzip_pack(const unsigned char *bytes, size_t length, size_t *packed)
{
	z_stream stream = {.next_in = bytes, .avail_in = (uInt)length};
	unsigned char *result;
	size_t room;

	if (length > (uInt)-1 ||
	    deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	room = deflateBound(&stream, (uLong)length);
	result = malloc(room);
	stream.next_out = result;
	stream.avail_out = (uInt)room;
	if (!result || deflate(&stream, Z_FINISH) != Z_STREAM_END) {
		free(result);
		result = NULL;
	}
	*packed = stream.total_out;
	deflateEnd(&stream);
	return result;
}
