/*
 * hooks_new.c: C++ operator new and delete, where a library of the program's own defines them.
 *
 * libstdc++'s and libc++'s call malloc, which records already: our frame then leaves by a tail
 * call and is in no stack. A library such as jemalloc answers operator new itself. Which of the
 * two it is shows at the first call that is recorded: did it pass through a malloc hook? The
 * next definition may throw through these hooks, so nothing is held across it.
 */
#include "preload/hooks/hooks_new.h"

#include "base/pages.h"
#include "base/sys.h"
#include "capture/record/heap.h"
#include "preload/libc/elf_lookup.h"
#include "preload/libc/real.h"

#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>

enum route {
	ROUTE_UNKNOWN,
	ROUTE_FORWARD, /* malloc's hooks record it, or the program's own delete would not be seen */
	ROUTE_OWN,
};

static uint32_t new_route; /* enum route; leaves UNKNOWN once */

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

/* Whether this call of operator new is to be looked at. */
static inline bool
is_watched(const struct vmt_thread *thread)
{
	return vmt_heap_mode() != VMT_MALLOC_OFF &&
	       vmt_atomic_load_relaxed(&new_route) != ROUTE_FORWARD && thread->heap_depth == 0 &&
	       vmt_atomic_load_acquire(&vmt_guard_owner->state) == VMT_OWNER_RECORDING;
}

static void *
made(struct vmt_thread *thread, uint32_t calls_before, void *block, size_t size, const void *frame)
{
	uint32_t expected = ROUTE_UNKNOWN;
	bool by_malloc = thread->heap_calls != calls_before;

	(void)vmt_atomic_cas(&new_route, &expected, by_malloc ? ROUTE_FORWARD : ROUTE_OWN);
	if (by_malloc)
		return block;
	return vmt_heap_acquired(thread, VMT_EVENT_NEW, block, size, frame);
}

/* Nobody defines operator new, and yet the program calls it: a weak reference bound to us at
 * start. Unrecorded, as is its delete. */
static void *
make_without(size_t alignment, size_t size)
{
	const struct vmt_real *real = vmt_real();

	return alignment > sizeof(max_align_t) ? real->memalign(alignment, size ? size : 1)
					       : real->malloc(size ? size : 1);
}

#define NEW(name, parameters, arguments, alignment)                                                \
	VMT_EXPORT void *name parameters;                                                          \
	VMT_EXPORT void *name parameters                                                           \
	{                                                                                          \
		struct vmt_thread *thread = vmt_thread_mine();                                     \
		const struct vmt_real *real = vmt_real();                                          \
		uint32_t calls = thread->heap_calls;                                               \
                                                                                                   \
		if (!real->name)                                                                   \
			return make_without((alignment), size);                                    \
		if (!is_watched(thread))                                                           \
			return real->name arguments;                                               \
		return made(thread, calls, real->name arguments, size,                             \
			    __builtin_frame_address(0));                                           \
	}

NEW(_Znwm, (size_t size), (size), 0)
NEW(_Znam, (size_t size), (size), 0)
NEW(_ZnwmRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), 0)
NEW(_ZnamRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), 0)
NEW(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment), alignment)
NEW(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment), alignment)
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag),
    (size, alignment, tag), alignment)
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag),
    (size, alignment, tag), alignment)

static void
write_delete(void *block, const void *frame)
{
	struct vmt_thread *thread = vmt_thread_mine();

	if (block && vmt_atomic_load_relaxed(&new_route) == ROUTE_OWN &&
	    vmt_heap_may_release(thread, block, frame))
		vmt_heap_release_slow(thread, VMT_EVENT_DELETE, block, frame);
}

#define DELETE(name, parameters, arguments)                                                        \
	VMT_EXPORT void name parameters;                                                           \
	VMT_EXPORT void name parameters                                                            \
	{                                                                                          \
		const struct vmt_real *real = vmt_real();                                          \
                                                                                                   \
		write_delete(block, __builtin_frame_address(0));                                   \
		if (real->name)                                                                    \
			real->name arguments;                                                      \
		else                                                                               \
			real->free(block);                                                         \
	}

DELETE(_ZdlPv, (void *block), (block))
DELETE(_ZdaPv, (void *block), (block))
DELETE(_ZdlPvm, (void *block, size_t size), (block, size))
DELETE(_ZdaPvm, (void *block, size_t size), (block, size))
DELETE(_ZdlPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))
DELETE(_ZdaPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))
DELETE(_ZdlPvSt11align_val_t, (void *block, size_t alignment), (block, alignment))
DELETE(_ZdaPvSt11align_val_t, (void *block, size_t alignment), (block, alignment))
DELETE(_ZdlPvmSt11align_val_t, (void *block, size_t size, size_t alignment),
       (block, size, alignment))
DELETE(_ZdaPvmSt11align_val_t, (void *block, size_t size, size_t alignment),
       (block, size, alignment))
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t alignment, const void *tag),
       (block, alignment, tag))
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t alignment, const void *tag),
       (block, alignment, tag))

#define MAP_NAME(name)
#define BREAK_NAME(name)
#define FILE_NAME(name)
#define HEAP_NAME(name)
#define NEW_NAME(name) #name,
#define PROCESS_NAME(name)
#define LOAD_NAME(name)
static const char *const names[] = {
#define VMT_HOOK(name, family, result, parameters) family##_NAME(name)
#include "preload/libc/hooks.def"
#undef VMT_HOOK
};

/* From the first to the last of some symbols, which lie near each other. */
static bool
protect(const ElfW(Sym) * first, const ElfW(Sym) * last, int protection)
{
	uintptr_t start = (uintptr_t)first & ~(uintptr_t)(vmt_page_bytes - 1);
	uintptr_t end = (uintptr_t)(last + 1);

	return vmt_sys_call3(SYS_mprotect, start, end - start, protection) == 0;
}

/* The loader takes a symbol of value 0 for undefined (glibc elf/dl-lookup.c, check_match). */
static void
hide_all(const struct vmt_elf_lookup_symbols *file)
{
	ElfW(Sym) * symbols[sizeof(names) / sizeof(names[0])];
	const size_t count = sizeof(names) / sizeof(names[0]);
	ElfW(Sym) *first = NULL;
	ElfW(Sym) *last = NULL;

	for (size_t i = 0; i < count; i++) {
		ElfW(Sym) *symbol = symbols[i] = vmt_elf_lookup_symbol(file, names[i]);

		first = !first || (symbol && symbol < first) ? symbol : first;
		last = symbol && symbol > last ? symbol : last;
	}
	if (!first || !protect(first, last, PROT_READ | PROT_WRITE))
		return;
	for (size_t i = 0; i < count; i++) {
		if (!symbols[i])
			continue;
		symbols[i]->st_value = 0;
		symbols[i]->st_shndx = SHN_UNDEF;
	}
	(void)protect(first, last, PROT_READ);
}

/* Whether the program's calls of a name come to us first. */
static bool
is_ours(const char *name)
{
	uintptr_t found = (uintptr_t)vmt_real_find(name);

	return found == 0 || (found >= (uintptr_t)__ehdr_start && found < (uintptr_t)_end);
}

void
vmt_hooks_new_set_up(void)
{
	struct vmt_elf_lookup_symbols file;

	if (!is_ours("_Znwm") || !is_ours("_ZdlPv"))
		new_route = ROUTE_FORWARD;
	if (vmt_real()->_Znwm || !vmt_elf_lookup_describe(&file, (uintptr_t)__ehdr_start, _DYNAMIC))
		return;
	hide_all(&file);
}
