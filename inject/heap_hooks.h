/*
 * heap_hooks.h: which functions of a program are an allocator's, and leads them to their handlers
 *
 * malloc and its family, where symbols of the program's file say where they are: by the C library's
 * names, and with the prefixes of known allocators (_rjem_malloc). A family is all functions of one
 * prefix. It is led to the handlers whole or not at all: blocks that are made unseen and released
 * seen would make the books wrong. operator new, which may throw, and delete are a family too,
 * where the host can lead them and the program has a malloc of its own; or where they are known to
 * be that malloc's: then an operator new that may throw becomes a call of malloc.
 *
 * The file and the process are untrusted. Found and judged without a change anywhere; then stubs
 * are mapped near the program, and the functions' first bytes changed, by the one that has stopped
 * it. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_HEAP_HOOKS_H
#define VMT_HEAP_HOOKS_H

#include "format/heap_functions.h"
#include "inject/code_map.h"
#include "inject/entry_hook.h"
#include "inject/file_functions.h"
#include "inject/target_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_HEAP_HOOKS_MAX 64u

/* Of symbols, in a program that loads the library: to look through more takes too long at its
 * start. The larger one where it is known to have a malloc. */
#define VMT_HEAP_HOOKS_SYMBOLS_BYTES (UINT64_C(8) << 20)
#define VMT_HEAP_HOOKS_SYMBOLS_KNOWN_BYTES (UINT64_C(64) << 20)

struct vmt_heap_function {
	uint64_t address;
	uint32_t families; /* bits: by whose names it is known */
	uint8_t entry;	   /* enum vmt_heap_entry */
	bool is_mixed;	   /* its names are those of functions with different arguments */
	bool is_malloc;	   /* its arguments are those of malloc, and it is called so */
	bool is_led;	   /* it and its families can be led to the handlers */
	struct vmt_entry_site site;
	struct vmt_entry_hook hook; /* once stubs are made */
};

struct vmt_heap_hooks {
	struct vmt_heap_function functions[VMT_HEAP_HOOKS_MAX]; /* by address, once judged */
	uint32_t count;
	uint32_t led;
	uint64_t unled_at;     /* the first function that is not led; 0: all are */
	const char *unled_why; /* a clause; static */
	bool may_throw;	       /* the caller's to say: operator new can be led as well */
	bool owns_operators;   /* ... or: operator new and delete are of the malloc beside them */
	bool has_new;	       /* an operator new was seen */
	bool is_other;	       /* an allocator is that no C library brings */
	bool is_glibc;	       /* it is glibc's malloc */
	bool is_crowded;       /* more functions than there is room for: none is led */
	uint32_t left;	       /* functions beside these that can't be led, and break no family */
	uint64_t left_at;      /* the first of them */
	uint64_t stubs;	       /* 0: none are made */
	uint64_t stubs_bytes;
};

/* Takes the functions of a file, in addresses of the process. */
void vmt_heap_hooks_collect(struct vmt_heap_hooks *hooks, const struct vmt_file *file,
			    uint64_t bias);

/* Whether a file holds an allocator, by its names. Not one with more symbols than
 * VMT_HEAP_HOOKS_SYMBOLS_KNOWN_BYTES. */
bool vmt_heap_hooks_is_allocator(const struct vmt_file *file);

/* Decides which are led. The map is settled. */
int vmt_heap_hooks_judge(struct vmt_heap_hooks *hooks, const struct vmt_code_map *map);

/* Leaves the whole out where a cut of another kind, [low, high), would overlap one. */
void vmt_heap_hooks_refuse_overlap(struct vmt_heap_hooks *hooks, uint64_t low, uint64_t high);

/* Leaves out one function, with its families, for a reason that is a clause; static. */
void vmt_heap_hooks_refuse(struct vmt_heap_hooks *hooks, uint32_t number, const char *why);

/* Leads none, for a reason that is a clause; static. */
void vmt_heap_hooks_give_up(struct vmt_heap_hooks *hooks, const char *why);

/* As judged, for a program that lies so many bytes above. */
void vmt_heap_hooks_move(struct vmt_heap_hooks *hooks, uint64_t up);

/* How many functions are not led. */
uint32_t vmt_heap_hooks_unled(const struct vmt_heap_hooks *hooks);

/* Bytes of all stubs. */
uint64_t vmt_heap_hooks_stub_bytes(const struct vmt_heap_hooks *hooks);

/* The stubs as they are to lie at the address; handlers by enum vmt_heap_entry. -ERANGE: too far
 * from a function. */
int vmt_heap_hooks_write_stubs(struct vmt_heap_hooks *hooks, uint64_t address,
			       const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT], uint8_t *stubs);

/* Changes the functions; all or none. No thread may run, or stand in what is changed. */
int vmt_heap_hooks_make(const struct vmt_heap_hooks *hooks, const struct vmt_target *target);
int vmt_heap_hooks_undo(const struct vmt_heap_hooks *hooks, const struct vmt_target *target);

#endif
