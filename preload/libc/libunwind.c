#include "preload/libc/libunwind.h"

#if defined(__x86_64__) && __has_include(<libunwind.h>)

#include "base/roomy.h"
#include "capture/modules/modules.h"
#include "preload/libc/real.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#define LIBRARY "libunwind.so.8"
#define PATH_BYTES 4096

static struct {
	int (*get_context)(unw_context_t *context);
	int (*init_local)(unw_cursor_t *cursor, unw_context_t *context);
	int (*get_reg)(unw_cursor_t *cursor, int number, unw_word_t *value);
	int (*step)(unw_cursor_t *cursor);
} library;

/* Fills the path of a file beside the one that this code lies in. */
static int
visit(struct dl_phdr_info *info, size_t size, void *path)
{
	uintptr_t here = (uintptr_t)&library;
	const char *slash = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
	size_t length = slash ? (size_t)(slash + 1 - info->dlpi_name) : 0;

	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type != PT_LOAD ||
		    here - (info->dlpi_addr + header->p_vaddr) >= header->p_memsz)
			continue;
		if (length == 0 || length + sizeof(LIBRARY) > PATH_BYTES)
			return 1;
		memcpy(path, info->dlpi_name, length);
		memcpy((char *)path + length, LIBRARY, sizeof(LIBRARY));
		return 1;
	}
	return 0;
}

static void *
open_library(void)
{
	static VMT_ROOMY char path[PATH_BYTES];
	void *(*open)(const char *file, int mode) = vmt_real()->dlopen;
	void *handle = NULL;

	if (!open)
		return NULL;
	dl_iterate_phdr(visit, path);
	if (path[0] != '\0')
		handle = open(path, RTLD_NOW | RTLD_LOCAL);
	return handle ? handle : open(LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

/* The names that libunwind.h's macros of local unwinding stand for. */
bool
vmt_libunwind_open(void)
{
	union {
		void *found;
		void *(*call)(void *handle, const char *name);
	} symbol = {vmt_real_find("dlsym")};
	void *handle = symbol.found ? open_library() : NULL;
	void *found[4];

	if (!handle)
		return false;
	found[0] = symbol.call(handle, "_Ux86_64_getcontext");
	found[1] = symbol.call(handle, "_ULx86_64_init_local");
	found[2] = symbol.call(handle, "_ULx86_64_get_reg");
	found[3] = symbol.call(handle, "_ULx86_64_step");
	if (!found[0] || !found[1] || !found[2] || !found[3])
		return false;
	memcpy(&library, found, sizeof(library));
	return true;
}

/* Frames below the caller of the hook are the walker's own and are left out. */
uint32_t
vmt_libunwind_walk(const void *frame, uint64_t *addresses, uint32_t limit)
{
	uint64_t first = (uint64_t)frame + 16;
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t value;
	uint32_t count = 0;
	bool inside = true;

	if (!library.step || library.get_context(&context) != 0 ||
	    library.init_local(&cursor, &context) != 0)
		return 0;
	while (count < limit) {
		if (inside && library.get_reg(&cursor, UNW_REG_SP, &value) == 0)
			inside = value < first;
		if (!inside) {
			if (library.get_reg(&cursor, UNW_REG_IP, &value) != 0 || value == 0)
				break;
			addresses[count++] = value;
		}
		if (library.step(&cursor) <= 0)
			break;
	}
	return count;
}

#else

bool
vmt_libunwind_open(void)
{
	return false;
}

uint32_t
vmt_libunwind_walk(const void *frame, uint64_t *addresses, uint32_t limit)
{
	(void)frame;
	(void)addresses;
	(void)limit;
	return 0;
}

#endif
