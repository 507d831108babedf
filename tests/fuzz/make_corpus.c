/*
 * make_corpus.c: the traces from which the fuzzer starts.
 *
 * make_corpus DIRECTORY writes the sample of the unit tests whole, with compressed chunks, without
 * its end, and without any chunk: what the rings and tables alone lead to.
 */
#include "tests/unit/sample_trace.h"

#include "tools/read/zstd.h"

static size_t
compress(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	return vmt_zstd_compress(NULL, dst, dst_bytes, src, src_bytes);
}

static void
write_seed(const char *directory, const char *name, const struct build_trace *build, size_t length)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	build_trace_write_bytes(path, build->bytes, length);
}

int
main(int argc, char **argv)
{
	struct build_trace *plain = sample_trace_new(NULL);
	struct build_trace *packed = sample_trace_new(compress);

	if (argc != 2) {
		fprintf(stderr, "usage: make_corpus DIRECTORY\n");
		return 1;
	}
	write_seed(argv[1], "whole", plain, plain->length);
	write_seed(argv[1], "packed", packed, packed->length);
	write_seed(argv[1], "no-end", plain, plain->last_chunk);
	write_seed(argv[1], "no-chunks", plain, build_trace_head(plain)->chunks_offset);
	build_trace_free(plain);
	build_trace_free(packed);
	return 0;
}
