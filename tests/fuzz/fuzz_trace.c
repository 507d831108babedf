/*
 * fuzz_trace.c: libFuzzer's entry into all that reads a trace, and into the model behind it.
 *
 * `make fuzz` links it with format/, collect/ and tools/ but main.c, all compiled by clang with
 * -fsanitize=fuzzer-no-link,address,undefined, and starts it on what make_corpus wrote. Checksums
 * would stop nearly every mutation, so they are made right first, as far as the chunks' own lengths
 * lead: the input is what a hostile writer would have written.
 */
#include "format/checksum.h"
#include "format/chunk.h"
#include "tests/unit/walk_trace.h"
#include "tools/model/report.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
seal_chunks(uint8_t *bytes, size_t size)
{
	struct vmt_head head;
	uint64_t at;

	if (size < sizeof(head))
		return;
	memcpy(&head, bytes, sizeof(head));
	at = head.chunks_offset;
	while (at <= size && size - at >= sizeof(struct vmt_chunk)) {
		struct vmt_chunk chunk;
		uint64_t end;
		uint32_t checksum;

		memcpy(&chunk, bytes + at, sizeof(chunk));
		end = at + sizeof(chunk) + chunk.payload_bytes;
		if (end > size)
			return;
		chunk.checksum = 0;
		checksum = vmt_checksum_update(0, &chunk, sizeof(chunk));
		chunk.checksum =
		    vmt_checksum_update(checksum, bytes + at + sizeof(chunk), chunk.payload_bytes);
		memcpy(bytes + at, &chunk, sizeof(chunk));
		at = (end + 7) & ~UINT64_C(7);
	}
}

static void
explain(const char *path)
{
	static const struct vmt_report_options options = {.at = VMT_AT_PEAK};
	struct vmt_report *report;
	struct vmt_err err = {""};
	int result = vmt_report_build(&report, path, &options, &err);

	WALK_CHECK((result == 0) == (report != NULL));
	WALK_CHECK((result < 0) == (err.text[0] != '\0'));
	vmt_report_free(report);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[64];

	if (bytes == NULL || fd < 0)
		abort();
	memcpy(bytes, data, size);
	seal_chunks(bytes, size);
	if (write(fd, bytes, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)walk_trace(path);
	explain(path);
	close(fd);
	free(bytes);
	return 0;
}
