/*
 * event.h: what can happen to memory, and how is it written down?
 *
 * When a call takes effect
 * ------------------------
 * An address can be handed out again before the wrapper of the call that released it has returned:
 *
 *     thread A                         thread B
 *     t1 = ticks  (free p)
 *     free(p) ....... allocator has p back
 *                                      q = malloc() == p
 *                                      t2 = ticks  (malloc q)
 *     wrapper returns
 *
 * So a release is stamped BEFORE the real call and an acquisition AFTER it: t1 < t2 always, and a
 * replay in time order never sees p acquired twice. A call that is both (realloc, mremap, a
 * MAP_FIXED mmap) writes a *_BEGIN event before and its own event after. A release that failed is
 * followed by an UNDO event of the same thread. Events of equal time: releases come first.
 *
 * Units: addresses and lengths in bytes; time in ticks of the clock that the head names.
 */
#ifndef VMT_EVENT_H
#define VMT_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* Which ring carries the event. Heap events are small and many; map events are wide and few. */
enum vmt_ring_class { VMT_RING_HEAP, VMT_RING_MAP, VMT_RING_CLASSES };

/* What the event does to the replay. */
enum vmt_event_role {
	VMT_ROLE_NOTE,	  /* changes no ownership */
	VMT_ROLE_RELEASE, /* stamped before the call */
	VMT_ROLE_ACQUIRE, /* stamped after the call */
};

/*
 * X(name, id, ring, role, call): ids are the file format's and never change or get reused. A reader
 * passes over a kind it does not know where vmt_event_may_be_skipped(id): notes without which all
 * figures are still right. It refuses the trace for any other. 63 is kept for kinds of 64 and more.
 *
 * Heap ring (struct vmt_heap_event): address and size of the block.
 *   FREE, DELETE   size 0. A block of 64 KiB or more whose size is known is released by a map
 *                  event of the same kind instead, which the replay treats alike:
 *                  length = its size, a = committed bytes in it, marks
 *   REALLOC_BEGIN  the old block (address); size = its size where known, else 0
 *   REALLOC        the new block; a failed realloc writes HEAP_UNDO instead
 *   HEAP_UNDO      the last release of this thread in the heap did not happen (address = block)
 * Map ring (struct vmt_map_event), with a = argument_a, b = argument_b:
 *   MMAP_BEGIN     MAP_FIXED is about to replace [address, length); a = committed bytes in it
 *   MMAP           protection, flags = mmap's; a = file offset, b = file descriptor (as int64)
 *   MUNMAP         a = committed bytes in the range
 *   MREMAP_BEGIN   old range; a = committed bytes in what will be released, b = new length
 *   MREMAP         new range; a = old address, b = old length, flags = mremap's
 *   MADVISE        advice; a = committed bytes before, where the advice releases; b = after the
 *                  call, where the marks say so; error = errno: refused (ECANCELED: a vector's
 *                  ranges behind the one that was)
 *   MPROTECT       protection
 *   BRK            address = new break, a = old break (acquisition or release by their order);
 *                  when it shrinks, b = committed bytes in what is released
 *   MLOCK, MUNLOCK range (length 0 and address 0 for the *ALL forms), flags
 *   SHMAT          length from IPC_STAT, a = shmid.   SHMDT: length 0 if not known; a = committed
 *   TRIM           malloc_trim: a = pad, error = its result
 *   PRESENT        was mapped when the trace began (process start, or inherited by fork);
 *                  protection; a = inode, b = 1 when the kernel calls it [heap], 2 [stack],
 *                  3 when it is this library's own private memory (owner page, sample table, ...)
 *   THREAD         address = pthread_t, length = bytes of stack asked for (0 not known),
 *                  a = size of the C library's thread descriptor at that address,
 *                  b = the new thread's kernel id, 0 where not known, VMT_THREAD_OVER where it had
 *                  ended before it could be read; flags: VMT_THREAD_*
 *   FORK           a = child's pid, flags = clone's (fork: 0)
 *   EXEC           exec is about to happen, path not recorded
 *   EXIT           a = status, b = enum vmt_exit_path (RETURN: the status is not known, a = -1),
 *                  length = the largest RSS that the kernel knows of (0: not known)
 *   MODULE_LOAD    address = lowest mapped byte, length = span, a = load bias, b = module id
 *   MODULE_UNLOAD  address, b = module id
 *   NAME           PR_SET_VMA_ANON_NAME on the range
 *   LONG_BEGIN     a call that fills memory begins: a = the kind of the event that will end it.
 *                  MMAP: address asked for, length in whole pages, protection, flags, b = file
 *                  offset. THREAD: length = bytes of stack, 0 = not known. SHMAT: as its event,
 *                  with the address asked for. BRK: address = old break, length = by how much it
 *                  grows
 *   LONG_END       a call is over that has no event of its own after it: a = its kind
 *   FILE_RELEASE   pages went out of a file in memory, and out of all who map it: length = bytes of
 *                  the file, a = their offset, b = bytes that the file gave back, flags =
 *                  fallocate's mode, 0 of ftruncate; error = errno
 *   MAP_UNDO       the last release of this thread in the map did not happen; error = errno
 */
#define VMT_EVENTS(X)                                                                              \
	X(MALLOC, 1, HEAP, ACQUIRE, "malloc")                                                      \
	X(CALLOC, 2, HEAP, ACQUIRE, "calloc")                                                      \
	X(REALLOC, 3, HEAP, ACQUIRE, "realloc")                                                    \
	X(REALLOCARRAY, 4, HEAP, ACQUIRE, "reallocarray")                                          \
	X(POSIX_MEMALIGN, 5, HEAP, ACQUIRE, "posix_memalign")                                      \
	X(ALIGNED_ALLOC, 6, HEAP, ACQUIRE, "aligned_alloc")                                        \
	X(MEMALIGN, 7, HEAP, ACQUIRE, "memalign")                                                  \
	X(VALLOC, 8, HEAP, ACQUIRE, "valloc")                                                      \
	X(PVALLOC, 9, HEAP, ACQUIRE, "pvalloc")                                                    \
	X(NEW, 10, HEAP, ACQUIRE, "operator new")                                                  \
	X(FREE, 16, HEAP, RELEASE, "free")                                                         \
	X(REALLOC_BEGIN, 17, HEAP, RELEASE, "realloc")                                             \
	X(DELETE, 18, HEAP, RELEASE, "operator delete")                                            \
	X(HEAP_UNDO, 19, HEAP, ACQUIRE, "realloc")                                                 \
	X(MMAP_BEGIN, 32, MAP, RELEASE, "mmap")                                                    \
	X(MMAP, 33, MAP, ACQUIRE, "mmap")                                                          \
	X(MUNMAP, 34, MAP, RELEASE, "munmap")                                                      \
	X(MREMAP_BEGIN, 35, MAP, RELEASE, "mremap")                                                \
	X(MREMAP, 36, MAP, ACQUIRE, "mremap")                                                      \
	X(MADVISE, 37, MAP, RELEASE, "madvise")                                                    \
	X(MPROTECT, 38, MAP, NOTE, "mprotect")                                                     \
	X(BRK, 39, MAP, ACQUIRE, "brk")                                                            \
	X(MLOCK, 40, MAP, NOTE, "mlock")                                                           \
	X(MUNLOCK, 41, MAP, NOTE, "munlock")                                                       \
	X(SHMAT, 42, MAP, ACQUIRE, "shmat")                                                        \
	X(SHMDT, 43, MAP, RELEASE, "shmdt")                                                        \
	X(REMAP_FILE_PAGES, 44, MAP, NOTE, "remap_file_pages")                                     \
	X(TRIM, 45, MAP, NOTE, "malloc_trim")                                                      \
	X(BRK_BEGIN, 46, MAP, RELEASE, "brk")                                                      \
	X(PRESENT, 48, MAP, ACQUIRE, "inherited at fork")                                          \
	X(THREAD, 49, MAP, ACQUIRE, "pthread_create")                                              \
	X(FORK, 50, MAP, NOTE, "fork")                                                             \
	X(EXEC, 51, MAP, NOTE, "exec")                                                             \
	X(EXIT, 52, MAP, NOTE, "exit")                                                             \
	X(MODULE_LOAD, 53, MAP, NOTE, "dlopen")                                                    \
	X(MODULE_UNLOAD, 54, MAP, NOTE, "dlclose")                                                 \
	X(NAME, 55, MAP, NOTE, "prctl")                                                            \
	X(MAP_UNDO, 56, MAP, ACQUIRE, "undo")                                                      \
	X(LONG_BEGIN, 57, MAP, NOTE, "long call")                                                  \
	X(LONG_END, 58, MAP, NOTE, "long call")                                                    \
	X(FILE_RELEASE, 59, MAP, NOTE, "fallocate")

enum vmt_event_kind {
#define X(name, id, ring, role, call) VMT_EVENT_##name = (id),
	VMT_EVENTS(X)
#undef X
	    VMT_EVENT_KINDS = 64 /* ids stay below; sizes counter arrays */
};

enum vmt_exit_path {
	VMT_EXIT_EXIT = 1,
	VMT_EXIT_UNDERSCORE = 2,
	VMT_EXIT_QUICK = 3,
	VMT_EXIT_RETURN = 4, /* from main, or an exit() that no hook saw */
};

/* vmt_map_event.argument_b of PRESENT; 0: anonymous memory of any other kind. */
enum vmt_present { VMT_PRESENT_HEAP = 1, VMT_PRESENT_STACK = 2, VMT_PRESENT_OWN = 3 };

/* vmt_map_event.flags of THREAD. */
#define VMT_THREAD_CALLERS_STACK 1u /* the caller gave the memory: the call reserved none */
#define VMT_THREAD_OVER UINT32_MAX  /* as a kernel id */

static inline bool
vmt_event_may_be_skipped(uint8_t kind)
{
	return (kind >= 20 && kind <= 31) || (kind >= 57 && kind <= 62);
}

static inline bool
vmt_event_is_known(uint8_t kind)
{
#define X(name, id, ring, role, call) | UINT64_C(1) << (id)
	static const uint64_t known = 0 VMT_EVENTS(X);
#undef X

	return kind < VMT_EVENT_KINDS && (known >> kind & 1) != 0;
}

#define VMT_ADDRESS_BITS 48
#define VMT_ADDRESS_MASK ((UINT64_C(1) << VMT_ADDRESS_BITS) - 1)

/* Slot of a heap ring: 32 bytes. */
struct vmt_heap_event {
	uint32_t sequence; /* the ring's, see ring.h */
	uint32_t stack;	   /* id in the stack table; 0 = none */
	uint64_t time;
	uint64_t address_kind; /* bits 0..47 address, 48..55 kind, 56..63 zero */
	uint64_t size_thread;  /* bits 0..47 size, 48..63 low bits of the thread id */
};

/* Slot of a map ring: 64 bytes. */
struct vmt_map_event {
	uint32_t sequence;
	uint32_t stack;
	uint64_t time;
	uint64_t address;
	uint64_t length;
	uint64_t argument_a;
	uint64_t argument_b;
	uint32_t flags;	    /* mmap's or mremap's flags */
	uint32_t thread;    /* kernel thread id */
	int16_t error;	    /* errno of the call, 0 on success */
	uint16_t advice;    /* madvise's advice */
	uint8_t kind;	    /* enum vmt_event_kind */
	uint8_t protection; /* PROT_* bits */
	uint8_t marks;	    /* VMT_MARK_* */
	uint8_t reserved;
};

/* vmt_map_event.marks: how committed bytes were found. */
#define VMT_MARK_LOOKED 1u	  /* the page tables were asked; else committed bytes are unknown */
#define VMT_MARK_SAMPLED 2u	  /* not all pages were asked: committed bytes are an estimate */
#define VMT_MARK_ENDS 8u	  /* MUNMAP: LONG_END or MAP_UNDO follows when the call is over */
#define VMT_MARK_LOOKED_AFTER 16u /* MADVISE: b = committed bytes after the call */
#define VMT_MARK_PAGE_CACHE 4u	  /* file pages: the answer counts the page cache */

_Static_assert(sizeof(struct vmt_heap_event) == 32, "heap slots are 32 bytes");
_Static_assert(sizeof(struct vmt_map_event) == 64, "map slots are 64 bytes");

/* One event as both sides speak of it once it has left its slot. Heap events use address, length
 * (= size), stack, thread (16 bits) and kind alone. */
struct vmt_event {
	uint64_t time;
	uint64_t address;
	uint64_t length;
	uint64_t argument_a;
	uint64_t argument_b;
	uint32_t stack;
	uint32_t thread;
	uint32_t flags;
	int16_t error;
	uint16_t advice;
	uint8_t kind;
	uint8_t protection;
	uint8_t marks;
	uint8_t reserved;
};

static inline uint64_t
vmt_event_pack_address(uint64_t address, uint8_t kind)
{
	return (address & VMT_ADDRESS_MASK) | ((uint64_t)kind << VMT_ADDRESS_BITS);
}

static inline uint64_t
vmt_event_pack_size(uint64_t size, uint32_t thread)
{
	uint64_t capped = size > VMT_ADDRESS_MASK ? VMT_ADDRESS_MASK : size;

	return capped | ((uint64_t)(thread & 0xffff) << VMT_ADDRESS_BITS);
}

/* The same event out of either kind of slot. */
static inline void
vmt_event_from_heap(struct vmt_event *event, const struct vmt_heap_event *slot)
{
	*event = (struct vmt_event){
	    .time = slot->time,
	    .stack = slot->stack,
	    .address = slot->address_kind & VMT_ADDRESS_MASK,
	    .kind = (uint8_t)(slot->address_kind >> VMT_ADDRESS_BITS),
	    .length = slot->size_thread & VMT_ADDRESS_MASK,
	    .thread = (uint32_t)(slot->size_thread >> VMT_ADDRESS_BITS),
	};
}

static inline void
vmt_event_from_map(struct vmt_event *event, const struct vmt_map_event *slot)
{
	*event = (struct vmt_event){
	    .time = slot->time,
	    .address = slot->address,
	    .length = slot->length,
	    .argument_a = slot->argument_a,
	    .argument_b = slot->argument_b,
	    .stack = slot->stack,
	    .thread = slot->thread,
	    .flags = slot->flags,
	    .error = slot->error,
	    .advice = slot->advice,
	    .kind = slot->kind,
	    .protection = slot->protection,
	    .marks = slot->marks,
	};
}

#endif
