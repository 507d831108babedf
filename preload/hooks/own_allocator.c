#include "preload/hooks/own_allocator.h"

#if defined(__x86_64__)

#include "base/near_place.h"
#include "base/pages.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "capture/core/config.h"
#include "capture/core/own_memory.h"
#include "capture/core/recording.h"
#include "capture/record/heap_entries.h"
#include "capture/record/kept_vectors.h"
#include "format/head.h"
#include "inject/heap_hooks.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static struct vmt_heap_hooks hooks = {.may_throw = true};

static uint64_t
find_bias(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	uint64_t count = getauxval(AT_PHNUM);

	for (uint64_t i = 0; headers && i < count; i++)
		if (headers[i].p_type == PT_PHDR)
			return (uint64_t)headers - headers[i].p_vaddr;
	return 0;
}

/* The changed code is what the file has: nobody else has changed it before. */
static bool
is_as_in_file(void)
{
	for (uint32_t i = 0; i < hooks.count; i++) {
		const struct vmt_entry_site *site = &hooks.functions[i].site;

		if (hooks.functions[i].is_led &&
		    memcmp((const void *)site->address, site->original, site->cut_bytes) != 0)
			return false;
	}
	return true;
}

static void *
map_near(const struct vmt_code_map *map, uint64_t bytes)
{
	uint64_t wish;

	for (uint32_t i = 0; (wish = vmt_near_place(map->low, map->high, bytes, i)) != 0; i++) {
		void *stubs =
		    vmt_sys_mmap((void *)wish, bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (vmt_sys_failed(stubs))
			continue;
		if ((uint64_t)stubs == wish)
			return stubs;
		vmt_sys_munmap(stubs, bytes);
	}
	return NULL;
}

static bool
write_stubs(const struct vmt_code_map *map)
{
	uint64_t bytes = vmt_pages_up(vmt_heap_hooks_stub_bytes(&hooks), vmt_page_bytes);
	uint64_t handlers[VMT_HEAP_ENTRIES_COUNT];
	void *stubs = map_near(map, bytes);

	if (!stubs)
		return false;
	for (uint32_t i = 0; i < VMT_HEAP_ENTRIES_COUNT; i++)
		handlers[i] = (uint64_t)vmt_heap_entries[i];
	if (vmt_heap_hooks_write_stubs(&hooks, (uint64_t)stubs, handlers, stubs) == 0 &&
	    vmt_sys_call3(SYS_mprotect, stubs, bytes, PROT_READ | PROT_EXEC) == 0) {
		vmt_own_memory_add((uint64_t)stubs, bytes);
		return true;
	}
	vmt_sys_munmap(stubs, bytes);
	return false;
}

static void
judge(const struct vmt_file *file, uint64_t bias)
{
	struct vmt_code_map map;
	int error = vmt_code_map_open_file(&map, file->bytes, file->length, bias);

	if (error == 0)
		error = vmt_file_functions_add(file, &map);
	if (error == 0) {
		vmt_code_map_settle(&map);
		error = vmt_heap_hooks_judge(&hooks, &map);
	}
	if (error < 0 || (hooks.led != 0 && !is_as_in_file()))
		vmt_heap_hooks_give_up(&hooks, "is not as in the program's file");
	else if (hooks.led != 0 && !write_stubs(&map))
		vmt_heap_hooks_give_up(&hooks, "has no room for stubs near it");
	if (error == 0)
		vmt_code_map_close(&map);
}

static void
look_through(int fd, uint64_t symbols_max_bytes)
{
	struct stat status = {.st_size = 0};
	struct vmt_file file;
	void *bytes;

	if (vmt_sys_call2(SYS_fstat, fd, &status) < 0 || status.st_size <= 0)
		return;
	bytes = vmt_sys_mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (vmt_sys_failed(bytes))
		return;
	file = (struct vmt_file){bytes, (size_t)status.st_size};
	if (vmt_file_functions_bytes(&file) <= symbols_max_bytes)
		vmt_heap_hooks_collect(&hooks, &file, find_bias());
	if (hooks.count != 0)
		judge(&file, find_bias());
	vmt_sys_munmap(bytes, (size_t)status.st_size);
}

void
vmt_own_allocator_find(bool defines_malloc)
{
	int fd;

	if (vmt_config.malloc_mode == VMT_MALLOC_OFF)
		return;
	fd = vmt_procfs_open(0, "exe");
	if (fd < 0)
		return;
	look_through(fd, defines_malloc ? VMT_HEAP_HOOKS_SYMBOLS_KNOWN_BYTES
					: VMT_HEAP_HOOKS_SYMBOLS_BYTES);
	vmt_sys_close(fd);
}

static bool
has_one_thread(void)
{
	struct vmt_procfs_stat stat = {.threads = 0};
	int fd = vmt_procfs_open(0, "stat");

	if (fd < 0)
		return false;
	if (!vmt_procfs_read_stat(fd, &stat))
		stat.threads = 0;
	vmt_sys_close(fd);
	return stat.threads == 1;
}

/* Through /proc/self/mem: text is never writable, and its mapping stays in one piece. */
static bool
write_hooks(void)
{
	struct vmt_target self = {.mem_fd = vmt_sys_open("/proc/self/mem", O_RDWR, 0)};
	bool written;

	if (self.mem_fd < 0)
		return false;
	vmt_kept_vectors_set_up();
	written = vmt_heap_hooks_make(&hooks, &self) == 0;
	vmt_sys_close(self.mem_fd);
	return written;
}

static bool
is_led(const void *function)
{
	for (uint32_t i = 0; i < hooks.count; i++)
		if (hooks.functions[i].address == (uint64_t)function)
			return hooks.functions[i].is_led;
	return false;
}

bool
vmt_own_allocator_lead(const void *own_malloc)
{
	struct vmt_head *head = vmt_recording.head;

	if (hooks.led != 0 && !has_one_thread())
		vmt_heap_hooks_give_up(&hooks, "could run in another thread");
	if (hooks.led != 0 && !write_hooks())
		vmt_heap_hooks_give_up(&hooks, "can't be changed: the kernel forbids it");
	head->heap_functions = hooks.led;
	head->heap_unseen = hooks.count - hooks.led;
	head->heap_unseen_at = hooks.unled_at;
	head->heap_is_glibc = hooks.is_glibc;
	return !own_malloc || is_led(own_malloc);
}

#else

void
vmt_own_allocator_find(bool defines_malloc)
{
	(void)defines_malloc;
}

bool
vmt_own_allocator_lead(const void *own_malloc)
{
	return !own_malloc;
}

#endif
