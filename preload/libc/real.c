#include "preload/libc/real.h"

#include "base/atomic.h"
#include "base/roomy.h"
#include "capture/core/guard.h"
#include "preload/libc/elf_lookup.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define ARENA_ALIGNMENT 16u

/*
 * dlsym and dlerror moved from libdl to libc in glibc 2.34. A weak reference to their oldest
 * version is met by either, and is NULL where an older program runs without libdl: the search in
 * elf_lookup.h serves then.
 */
#if defined(__x86_64__)
#define OLDEST_GLIBC "GLIBC_2.2.5"
#else
#define OLDEST_GLIBC "GLIBC_2.17"
#endif
#ifdef __GLIBC__
#define UNVERSIONED(name)
__asm__(".symver oldest_dlsym, dlsym@" OLDEST_GLIBC);
__asm__(".symver oldest_dlerror, dlerror@" OLDEST_GLIBC);
#else
#define UNVERSIONED(name) __asm__(name)
#endif
extern void *oldest_dlsym(void *handle, const char *name) UNVERSIONED("dlsym")
    __attribute__((weak));
extern char *oldest_dlerror(void) UNVERSIONED("dlerror") __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

struct vmt_real vmt_real_table;
VMT_ROOMY _Alignas(64) unsigned char vmt_real_arena[VMT_ARENA_BYTES];
static uint32_t arena_used;

/* Before each arena block: keeps blocks aligned to 16 and remembers their size. */
struct arena_header {
	uint64_t size;
	uint64_t padding;
};

static void *
arena_malloc(size_t size)
{
	struct arena_header header = {.size = size};
	uint32_t wanted;
	uint32_t at;

	if (size > VMT_ARENA_BYTES)
		return NULL;
	wanted = (uint32_t)(sizeof(header) + size + ARENA_ALIGNMENT - 1) & ~(ARENA_ALIGNMENT - 1);
	at = vmt_atomic_load_relaxed(&arena_used);
	do {
		if (wanted > VMT_ARENA_BYTES - at)
			return NULL;
	} while (!vmt_atomic_cas(&arena_used, &at, at + wanted));
	memcpy(vmt_real_arena + at, &header, sizeof(header));
	return vmt_real_arena + at + sizeof(header);
}

/* Never reused, so fresh arena memory is zero. */
static void *
arena_calloc(size_t count, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : arena_malloc(bytes);
}

static void *
arena_realloc(void *block, size_t size)
{
	void *fresh = arena_malloc(size);
	size_t old = block && vmt_real_arena_owns(block) ? vmt_real_arena_size(block) : 0;

	if (fresh && old)
		memcpy(fresh, block, old < size ? old : size);
	return fresh;
}

/* What a thread frees while it looks names up came from the arena. */
static void
arena_free(void *block)
{
	(void)block;
}

static const struct vmt_real arena_table = {
    .malloc = arena_malloc,
    .calloc = arena_calloc,
    .realloc = arena_realloc,
    .free = arena_free,
};

size_t
vmt_real_arena_size(const void *block)
{
	struct arena_header header;

	memcpy(&header, (const unsigned char *)block - sizeof(header), sizeof(header));
	return header.size;
}

/* A table without an allocator would crash the program at its next call. */
static void
complete_heap(struct vmt_real *table)
{
	if (table->malloc && table->calloc && table->realloc && table->free)
		return;
	table->malloc = arena_malloc;
	table->calloc = arena_calloc;
	table->realloc = arena_realloc;
	table->free = arena_free;
}

/*
 * Not by dlsym, which allocates to say that a name is absent: an allocator that maps its first
 * memory may bring us here while it holds a lock. But the loader's calls bring us here before
 * ThreadSanitizer has set its dl_iterate_phdr up, which elf_lookup.c would call.
 */
static void *
look_up(const char *name, bool after_us)
{
	if (__tsan_init && oldest_dlsym)
		return oldest_dlsym(after_us ? RTLD_NEXT : RTLD_DEFAULT, name);
	return vmt_elf_lookup_find(name, after_us);
}

#define LOOKED_UP_MAP 0
#define LOOKED_UP_BREAK 1
#define LOOKED_UP_FILE 1
#define LOOKED_UP_HEAP 1
#define LOOKED_UP_NEW 1
#define LOOKED_UP_PROCESS 1
#define LOOKED_UP_LOAD 1

/* Threads that come here together write the same answers: the stores of members are word-sized. */
const struct vmt_real *
vmt_real_resolve_slow(void)
{
	struct vmt_thread *thread = vmt_thread_mine();
	struct vmt_real found = {0};
	int saved = errno;

	if (thread->resolving)
		return &arena_table;
	thread->resolving = 1;
#define VMT_HOOK(name, family, result, parameters)                                                 \
	if (LOOKED_UP_##family)                                                                    \
		found.name = (__typeof__(found.name))look_up(#name, true);
#include "preload/libc/hooks.def"
#undef VMT_HOOK
	complete_heap(&found);
	*(void **)&found.foreign_realloc = look_up("realloc", false);
	if (vmt_elf_lookup_is_ours((const void *)found.foreign_realloc))
		found.foreign_realloc = NULL;
	if (__tsan_init && oldest_dlerror)
		oldest_dlerror(); /* the program shall not find our failed look-ups in it */
	vmt_atomic_store_relaxed(&vmt_real_table.foreign_realloc, found.foreign_realloc);
#define VMT_HOOK(name, family, result, parameters)                                                 \
	vmt_atomic_store_relaxed(&vmt_real_table.name, found.name);
#include "preload/libc/hooks.def"
#undef VMT_HOOK
	/* Orders the members before the word that lets others use them. */
	vmt_atomic_store_release(&vmt_real_table.ready, 1);
	thread->resolving = 0;
	errno = saved;
	return &vmt_real_table;
}

void *
vmt_real_find(const char *name)
{
	void *found;

	if (!oldest_dlsym)
		return vmt_elf_lookup_find(name, false);
	found = oldest_dlsym(RTLD_DEFAULT, name);
	if (!found && oldest_dlerror)
		oldest_dlerror();
	return found;
}
