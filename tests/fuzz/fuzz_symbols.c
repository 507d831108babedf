/*
 * fuzz_symbols.c: hostile programs through all that looks into one, but libdw.
 *
 * ELF, symbol tables, build-ids, names to demangle, the Go module data in a program. libdw's own
 * mistakes are not looked for: it runs in a process of its own (lookup.h), and test_lookup sees to
 * it that nobody minds.
 */
#include "tools/read/elf/go_raw_calls.h"
#include "tools/read/elf/preloadable.h"
#include "tools/read/symbols/demangle.h"
#include "tools/read/symbols/symbols.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_into(const char *path)
{
	static const uint64_t addresses[] = {0, 1, 0x1000, 0x1040, 0x1139, 0x401000, UINT64_MAX};
	struct vmt_module module = {.path = path, .path_bytes = (uint32_t)strlen(path)};
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_go_raw_calls go;

	if (!symbols)
		abort();
	(void)vmt_symbols_open(symbols, &module, true);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];

		if (vmt_symbols_resolve(symbols, &module, addresses[i], frames) >
		    VMT_SYMBOLS_MAX_INLINED)
			abort();
	}
	(void)vmt_symbols_trouble(symbols, &module);
	vmt_symbols_free(symbols);
	(void)vmt_go_raw_calls_inspect(&go, path);
}

/* An input without ELF's magic is a name. */
static void
demangle(const uint8_t *data, size_t size)
{
	char *name = strndup((const char *)data, size < 4096 ? size : 4096);

	if (!name)
		abort();
	free(vmt_demangle_name(name));
	free(name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd;

	if (size < 4 || memcmp(data, "\177ELF", 4) != 0) {
		demangle(data, size);
		return 0;
	}
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	look_into(path);
	close(fd);
	return 0;
}
