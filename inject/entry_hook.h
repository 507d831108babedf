/*
 * entry_hook.h: makes a function of a program come to a handler before it runs
 *
 * For functions that no loader resolves: malloc and its family in a static program, or an allocator
 * that the executable itself brings. The first whole instructions of the function, at least a
 * jump's 5 bytes, become a jump to its stub, which goes on to the handler. The stub also has a way
 * to the function as it was: those instructions, at another place, and a jump to what is behind
 * them. The handler is called as the function would be, with the stack and all registers as its
 * caller left them but for rax. What rax had, that way's address and, where wanted, the way to
 * another function are in three words below the stack pointer, where the function's own frame would
 * begin: the handler takes them from there first of all.
 *
 * The handler must leave every register that it changes as it was, but for a result in rax. A
 * compiler that has seen the function (gcc's -fipa-ra) lets callers keep values in whatever
 * registers it does not touch, whether or not the ABI lets a function change them.
 *
 * An endbr64 at the beginning stays. Nothing may lead into the bytes that are replaced but to the
 * first of them. Pure: makes bytes, and writes none of them anywhere.
 */
#ifndef VMT_ENTRY_HOOK_H
#define VMT_ENTRY_HOOK_H

#include "inject/code_map.h"
#include "inject/syscall_sites.h"

#include <stddef.h>
#include <stdint.h>

#define VMT_ENTRY_HOOK_STUB_BYTES 128u /* of one function, at most */
#define VMT_ENTRY_HOOK_MOVED 5u	       /* instructions, at most */

/* The handler's words, from rsp on as it comes there. rbp can be pushed above them. */
#define VMT_ENTRY_HOOK_RAX (-16)
#define VMT_ENTRY_HOOK_FUNCTION (-24)
#define VMT_ENTRY_HOOK_OTHER (-32)

/* A function, and what would be replaced. */
struct vmt_entry_site {
	uint64_t function;
	uint64_t address; /* of the cut's first byte */
	uint8_t verdict;  /* enum vmt_site_verdict */
	uint8_t cut_bytes;
	uint8_t original[VMT_SITE_CUT_BYTES];
};

struct vmt_entry_hook {
	uint64_t address;
	uint64_t stub;	   /* where the cut's jump leads */
	uint64_t function; /* to call instead of the function, as it was */
	uint8_t length;
	uint8_t old_bytes[VMT_SITE_CUT_BYTES];
	uint8_t new_bytes[VMT_SITE_CUT_BYTES];
	uint8_t moved;				  /* instructions */
	uint8_t moved_from[VMT_ENTRY_HOOK_MOVED]; /* their offsets in the cut */
	uint8_t moved_to[VMT_ENTRY_HOOK_MOVED];	  /* ... and from `function` on */
};

/* Judges functions by their addresses, which ascend. sites has room for as many. 0, or a negative
 * errno. */
int vmt_entry_hook_find(const struct vmt_code_map *map, const uint64_t *functions, size_t count,
			struct vmt_entry_site *sites);

/* A stub, for an address within 2 GiB of the function, and the change of the text. handler:
 * anywhere. other: another function, within 2 GiB; 0: its word is left out. Returns the stub's
 * bytes; -ERANGE: too far. */
long vmt_entry_hook_make(const struct vmt_entry_site *site, uint64_t stub_address, uint64_t handler,
			 uint64_t other, uint8_t *stub, struct vmt_entry_hook *hook);

/* Where a thread that stands in the middle of the cut goes on while the hook is in the text. The
 * address itself, if it does not stand there. */
uint64_t vmt_entry_hook_into_stub(const struct vmt_entry_hook *hook, uint64_t address);

#endif
