#include "tools/page/gzip_base64.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#define LINE_BYTES 3000u      /* of the compressed bytes that one line of base64 stands for */
#define GZIP_WINDOW (15 + 16) /* zlib: the largest window, with gzip's frame */
#define LEVEL 6		      /* 9 takes three times as long for 2 % */
#define MEMORY_LEVEL 8

struct sink {
	FILE *out;
	z_stream deflate;
	unsigned char line[LINE_BYTES]; /* compressed, not yet encoded */
};

/* Encodes up to LINE_BYTES bytes as one line. */
static int
put_line(FILE *out, const unsigned char *bytes, size_t count)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[LINE_BYTES / 3 * 4 + 1];
	size_t used = 0;

	for (size_t i = 0; i < count; i += 3) {
		size_t left = count - i;
		uint32_t three = (uint32_t)bytes[i] << 16;

		if (left > 1)
			three |= (uint32_t)bytes[i + 1] << 8;
		if (left > 2)
			three |= bytes[i + 2];
		text[used++] = digits[three >> 18];
		text[used++] = digits[three >> 12 & 63];
		text[used++] = left > 1 ? digits[three >> 6 & 63] : '=';
		text[used++] = left > 2 ? digits[three & 63] : '=';
	}
	text[used++] = '\n';
	return fwrite(text, 1, used, out) == used ? 0 : -1;
}

/* Compresses what deflate has as input; full lines are written. With Z_FINISH to the very end. */
static int
compress_input(struct sink *sink, int flush)
{
	z_stream *stream = &sink->deflate;
	bool is_done;

	do {
		int result = deflate(stream, flush);

		if (result == Z_STREAM_ERROR)
			return -1;
		is_done = flush == Z_FINISH ? result == Z_STREAM_END : stream->avail_in == 0;
		if (stream->avail_out == 0) {
			if (put_line(sink->out, sink->line, LINE_BYTES) < 0)
				return -1;
			stream->next_out = sink->line;
			stream->avail_out = LINE_BYTES;
		}
	} while (!is_done);
	return 0;
}

static ssize_t
sink_write(void *cookie, const char *bytes, size_t count)
{
	struct sink *sink = cookie;

	if (count > INT_MAX)
		count = INT_MAX;
	sink->deflate.next_in = (z_const Bytef *)(uintptr_t)bytes;
	sink->deflate.avail_in = (uInt)count;
	if (compress_input(sink, Z_NO_FLUSH) < 0) {
		errno = EIO;
		return 0;
	}
	return (ssize_t)count;
}

static int
sink_close(void *cookie)
{
	struct sink *sink = cookie;
	int result = compress_input(sink, Z_FINISH);
	size_t left = LINE_BYTES - sink->deflate.avail_out;

	if (result == 0 && left > 0)
		result = put_line(sink->out, sink->line, left);
	deflateEnd(&sink->deflate);
	free(sink);
	if (result < 0)
		errno = EIO;
	return result;
}

FILE *
vmt_gzip_base64_open(FILE *out)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	FILE *result = NULL;

	if (!sink)
		return NULL;
	sink->out = out;
	sink->deflate.next_out = sink->line;
	sink->deflate.avail_out = LINE_BYTES;
	if (deflateInit2(&sink->deflate, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) == Z_OK) {
		result = fopencookie(
		    sink, "w", (cookie_io_functions_t){.write = sink_write, .close = sink_close});
		if (!result)
			deflateEnd(&sink->deflate);
	}
	if (!result) {
		free(sink);
		errno = ENOMEM;
	}
	return result;
}
