/*
 * fuzz_dwarf.c: hostile debug information through libdw and all that asks it.
 *
 * In one process with the fuzzer, so that what our side makes of odd answers is seen; what becomes
 * of libdw's own mistakes, test_lookup_limits shows. No file that an input names is opened.
 */
#include "tests/fuzz/dwarf_input.h"
#include "tests/unit/made_elf.h"
#include "tools/read/symbols/symbols.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
make_file(const char *path, const uint8_t *data, size_t size)
{
	struct made_elf elf = {.count = 0};

	for (size_t i = 0; i < DWARF_INPUT_SECTIONS && size >= 2; i++) {
		struct made_section *section = made_elf_section(&elf, dwarf_input_sections[i]);
		size_t length = data[0] | (size_t)data[1] << 8;

		data += 2;
		size -= 2;
		length = length < size ? length : size;
		made_put(section, data, length);
		data += length;
		size -= length;
	}
	made_elf_write(&elf, path);
}

static void
ask(struct vmt_symbols *symbols, const struct vmt_module *module)
{
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_symbol_place place;

	for (uint64_t at = DWARF_INPUT_CODE; at < DWARF_INPUT_CODE + 0x100; at += 4) {
		size_t count = vmt_symbols_resolve(symbols, module, at, frames);

		if (count > VMT_SYMBOLS_MAX_INLINED)
			abort();
		for (size_t i = 0; i < count; i++)
			if (frames[i].function && strlen(frames[i].function) > SIZE_MAX / 2)
				abort();
	}
	(void)vmt_symbols_go_member(symbols, module, "main.state", "part.1.value", &place);
	(void)vmt_symbols_has_debug(symbols, module);
	(void)vmt_symbols_trouble(symbols, module);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmt_symbols *symbols = vmt_symbols_new();
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct rlimit before;
	struct rlimit none;
	char path[64];
	struct vmt_module module = {.path = path};

	if (!symbols || fd < 0 || getrlimit(RLIMIT_NOFILE, &before) != 0)
		abort();
	module.path_bytes = (uint32_t)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	make_file(path, data, size);
	(void)vmt_symbols_open(symbols, &module, false);
	none = before;
	none.rlim_cur = 0;
	if (setrlimit(RLIMIT_NOFILE, &none) != 0)
		abort();
	ask(symbols, &module);
	if (setrlimit(RLIMIT_NOFILE, &before) != 0)
		abort();
	vmt_symbols_free(symbols);
	close(fd);
	return 0;
}
