/*
 * cuts.h: the bytes that turn a system call in a program's text into a jump to the recorder
 *
 * Makes bytes, and writes none of them anywhere. A cut's place in the text becomes a jump to its
 * stub. The stub runs the instructions that were cut, in their order, and goes on to the entry
 * with
 *   eax  the system call's number
 *   r11  the address of a struct vmt_cut_ways, which lies in the stub
 *   rcx  anything
 * and all other registers, the flags and the stack as the kernel would see them. It uses no stack,
 * and so leaves the red zone alone. A stub of a site that may make any call goes back to the text's
 * own syscall for those that are not wanted. A call that returns twice is made in the stub, and its
 * result in the parent is told to the entry (VMT_BIRTH_TAG). So is one that ends the program where
 * it works, which is told before and once it has failed (VMT_EXEC_TAG).
 */
#ifndef VMT_CUTS_H
#define VMT_CUTS_H

#include "inject/syscall_sites.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_CUTS_JUMP_BYTES 5u	 /* what of a cut changes */
#define VMT_CUTS_STUB_BYTES 320u /* of one site, at most */
#define VMT_CUTS_WANTED 24u	 /* numbers, at most */

/* Where the entry goes on. */
struct vmt_cut_ways {
	uint64_t exit;	 /* behind the syscall, with rax as the kernel's */
	uint64_t bypass; /* the syscall in the text, with eax as the entry had it */
};

/* A change of the text, and how it is taken back. */
struct vmt_cut {
	uint64_t address;
	uint64_t stub;
	uint64_t veneer; /* the jump in between; 0: none */
	uint16_t stub_bytes;
	uint8_t length; /* of the cut; behind the jump the new bytes are the old ones */
	uint8_t old_bytes[VMT_SITE_CUT_BYTES];
	uint8_t new_bytes[VMT_SITE_CUT_BYTES];
};

/* Where the text can't reach the stubs: room that it does reach, for a jump to each. */
#define VMT_CUTS_VENEER_BYTES 16u
struct vmt_cut_veneers {
	uint64_t address;
	size_t room;	/* bytes */
	uint8_t *bytes; /* to be written there */
	size_t used;	/* filled in */
};

struct vmt_cuts_place {
	uint64_t stubs;			 /* aligned to 16 */
	uint64_t entry;			 /* anywhere */
	struct vmt_cut_veneers *veneers; /* NULL: the stubs lie within 2 GiB of all the sites */
};

/* How many bytes the stubs of these sites take, at most: of those that can be cut. */
size_t vmt_cuts_stub_bytes(const struct vmt_syscall_site *sites, size_t count);

/* Stubs, and a cut for each site whose verdict is VMT_SITE_CUT, in their order; cuts has room for
 * `count`. How many cuts; -ERANGE: a site or what its instructions reach is too far from the stubs,
 * or there is no room for the veneers. */
long vmt_cuts_make(const struct vmt_syscall_site *sites, size_t count,
		   const struct vmt_wanted_calls *wanted, const struct vmt_cuts_place *place,
		   uint8_t *stubs, struct vmt_cut *cuts);

/* Where a thread that stands at this address goes on while the cut is in the text: the same
 * instruction in the stub. The address itself, if it is not in the middle of the cut. */
uint64_t vmt_cuts_into_stub(const struct vmt_cut *cut, uint64_t address);

/* ... and where one in the stub, or before its jump there, goes on once the cut has been taken
 * back: at the same instruction in the text, or at the text's own syscall. The address itself, if
 * it is not in the stub. */
uint64_t vmt_cuts_out_of_stub(const struct vmt_cut *cut, uint64_t address);

#endif
