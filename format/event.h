/*
 * event.h: what can happen to memory, and how it is written down
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
 * So a release is stamped BEFORE the real call and an acquisition AFTER it: t1 < t2, and a replay
 * in time order never sees p acquired twice. Only of blocks t2 may be a little earlier, as their
 * stamp waits for nothing: docs/ring.md says by how much, and what readers do then. A call that is
 * both (realloc, mremap, a MAP_FIXED mmap) writes a *_BEGIN event before and its own event after. A
 * release that failed is followed by an UNDO event of the same thread. Events of equal time:
 * releases come first.
 *
 * The kinds stand in event_kinds.def, with what their fields mean. The heap's are small and many
 * and go through the heap ring (struct vmt_heap_event), the others through the map ring (struct
 * vmt_map_event, whose argument_a and argument_b are called a and b there).
 *
 * Units: addresses and lengths in bytes; time in ticks of the clock that the head names.
 */
#ifndef VMT_EVENT_H
#define VMT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which ring carries the event. Heap events are small and many; map events are wide and few. */
enum vmt_ring_class { VMT_RING_HEAP, VMT_RING_MAP, VMT_RING_CLASSES };

/* What the event does to the replay. */
enum vmt_event_role {
	VMT_ROLE_NOTE,	  /* changes no ownership */
	VMT_ROLE_RELEASE, /* stamped before the call */
	VMT_ROLE_ACQUIRE, /* stamped after the call */
};

enum vmt_event_kind {
#define VMT_EVENT(name, id, ring, role, call, fields, a, b) VMT_EVENT_##name = (id),
#include "format/event_kinds.def"
};

#define VMT_EVENT_KINDS 64u	   /* ids stay below; sizes counter arrays */
#define VMT_EVENT_FIRST_OF_MAP 32u /* ids below are of the heap */

#define VMT_EVENT(name, id, ring, role, call, fields, a, b)                                        \
	_Static_assert((id) > 0 && (id) < VMT_EVENT_KINDS - 1, "id of " #name);                    \
	_Static_assert((VMT_RING_##ring == VMT_RING_MAP) == ((id) >= VMT_EVENT_FIRST_OF_MAP),      \
		       "ring of " #name);                                                          \
	_Static_assert(VMT_RING_##ring == VMT_RING_MAP || VMT_ROLE_##role != VMT_ROLE_NOTE,        \
		       "a block comes or goes: role of " #name);
#include "format/event_kinds.def"

/* Fields of an event that mean something for its kind. */
#define VMT_FIELD_ADDRESS 1u
#define VMT_FIELD_LENGTH 2u
#define VMT_FIELD_RANGE (VMT_FIELD_ADDRESS | VMT_FIELD_LENGTH)
#define VMT_FIELD_PROTECTION 4u
#define VMT_FIELD_FLAGS 8u
#define VMT_FIELD_ADVICE 16u

/* What an argument of an event is. */
enum vmt_argument_form {
	VMT_ARGUMENT_IS_NONE,
	VMT_ARGUMENT_IS_NUMBER,
	VMT_ARGUMENT_IS_SIGNED,
	VMT_ARGUMENT_IS_ADDRESS,
	VMT_ARGUMENT_IS_COMMITTED,
	VMT_ARGUMENT_IS_COMMITTED_AFTER, /* where the marks say that it was looked for */
	VMT_ARGUMENT_IS_MODULE,
};

struct vmt_event_argument {
	enum vmt_argument_form form;
	const char *name;
};

#define VMT_ARGUMENT(form, name)                                                                   \
	{                                                                                          \
		VMT_ARGUMENT_IS_##form, name                                                       \
	}
#define VMT_ARGUMENT_NONE VMT_ARGUMENT(NONE, NULL)

enum vmt_exit_path {
	VMT_EXIT_EXIT = 1,
	VMT_EXIT_UNDERSCORE = 2,
	VMT_EXIT_QUICK = 3,
	VMT_EXIT_RETURN = 4, /* from main, or an exit() that no hook saw */
};

/* vmt_map_event.argument_b of PRESENT; 0: anonymous memory of any other kind. */
enum vmt_present {
	VMT_PRESENT_HEAP = 1,  /* the kernel calls it [heap] */
	VMT_PRESENT_STACK = 2, /* [stack] */
	VMT_PRESENT_OWN = 3,   /* this library's own private memory: owner page, sample table ... */
};

/* vmt_map_event.flags of THREAD. */
#define VMT_THREAD_CALLERS_STACK 1u /* the caller gave the memory: the call reserved none */
#define VMT_THREAD_PRESENT 2u	    /* was there before the trace: no call of it is known */
#define VMT_THREAD_MAPPED 4u	    /* its memory came by a call that is written, too */
#define VMT_THREAD_OVER UINT32_MAX  /* as a kernel id */

static inline bool
vmt_event_may_be_skipped(uint8_t kind)
{
	return (kind >= 20 && kind <= 31) || (kind >= 57 && kind <= 62);
}

static inline bool
vmt_event_is_known(uint8_t kind)
{
	static const uint64_t known = 0
#define VMT_EVENT(name, id, ring, role, call, fields, a, b) | UINT64_C(1) << (id)
#include "format/event_kinds.def"
	    ;

	return kind < VMT_EVENT_KINDS && (known >> kind & 1) != 0;
}

/* Whether the kind is stamped before its call, which gives memory up. */
static inline bool
vmt_event_is_release(uint8_t kind)
{
	static const uint64_t releases = 0
#define VMT_EVENT(name, id, ring, role, call, fields, a, b)                                        \
	| (uint64_t)(VMT_ROLE_##role == VMT_ROLE_RELEASE) << (id)
#include "format/event_kinds.def"
	    ;

	return kind < VMT_EVENT_KINDS && (releases >> kind & 1) != 0;
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
#define VMT_MARK_ENDS 8u	  /* MUNMAP, SHMDT: LONG_END or MAP_UNDO follows, when it is over */
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
