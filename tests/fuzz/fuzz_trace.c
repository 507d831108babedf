/*
 * fuzz_trace.c: hostile traces through all that reads one (read_all.h).
 *
 * Chunks are sealed first (seal_trace.h); mutations are those of mutate_trace.c.
 */
#include "tests/fuzz/seal_trace.h"
#include "tests/unit/read_all.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[64];

	if (bytes == NULL || fd < 0)
		abort();
	memcpy(bytes, data, size);
	seal_trace(bytes, size);
	if (write(fd, bytes, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_all(path);
	close(fd);
	free(bytes);
	return 0;
}
