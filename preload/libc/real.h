/*
 * real.h: the next definition of each hook, and an arena for the time before
 *
 * vmt_real()->free(block) calls the next definition after ours in the loader's search order. They
 * are looked up once, in the constructor or at the first call before it; names that nobody defines
 * stay NULL (_Fork, execveat, cfree, malloc_usable_size, families FILE and NEW may be missing: test
 * them).
 * Members of family MAP are always NULL: those hooks issue the system call themselves.
 *
 * What a thread asks for while it is looking names up (a loader's or a signal handler's allocation)
 * is served from a static arena; such blocks are known by their address for ever
 * (vmt_real_arena_owns), are never reused, and must never reach the next free or realloc.
 *
 * Thread safe: looking up twice gives the same answers. Signal safe once looked up.
 */
#ifndef VMT_REAL_H
#define VMT_REAL_H

#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* On the definition of every hook: all else is hidden. */
#define VMT_EXPORT __attribute__((visibility("default")))

struct vmt_real {
#define VMT_HOOK(name, family, result, parameters) result(*name) parameters;
#include "preload/libc/hooks.def"
#undef VMT_HOOK
	/* NULL, or the realloc of an allocator that stands before us: in the program itself, or in
	 * an earlier library. */
	void *(*foreign_realloc)(void *, size_t);
	uint32_t ready; /* release store after the members */
};

#define VMT_ARENA_BYTES (UINT32_C(128) << 10)

/* Begins recording where it has not begun (start.h; defined there). Keeps errno. */
extern void (*const vmt_real_begin)(void);

extern struct vmt_real vmt_real_table;
extern unsigned char vmt_real_arena[VMT_ARENA_BYTES];

/* Looks everything up. While this very thread is doing so already, the heap members are answered
 * from the arena. */
const struct vmt_real *vmt_real_resolve_slow(void);

static inline const struct vmt_real *
vmt_real(void)
{
	if (__builtin_expect(!__atomic_load_n(&vmt_real_table.ready, __ATOMIC_ACQUIRE), 0))
		return vmt_real_resolve_slow();
	return &vmt_real_table;
}

static inline bool
vmt_real_arena_owns(const void *block)
{
	return (uintptr_t)block - (uintptr_t)vmt_real_arena < VMT_ARENA_BYTES;
}

/* Bytes that an arena block was made with. */
size_t vmt_real_arena_size(const void *block);

/* A symbol of the whole program by the loader's default search, NULL where there is none (or where
 * the loader offers no dlsym). Only while setting up: takes the loader's lock. */
void *vmt_real_find(const char *name);

#endif
