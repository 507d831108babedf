/*
 * go_patch.h: makes raw system calls of the Go runtime come to a handler
 *
 * The runtime's assembly functions that make system calls are known by heart, byte for byte (Go
 * 1.19 to 1.27). What stands right before their `syscall` becomes a jump to a stub in
 * a page near the text; the stub goes on to the entry with the site's number in bits 16..31 of eax
 * and the system call's in bits 0..15, all other registers as the kernel would see them, rcx and
 * r11 free. The entry makes the call and comes back to the site's exit, behind the syscall, with
 * rax as the kernel's; or, where it can't work, to the site's bypass, with eax as it was: that goes
 * on to the syscall. A function with other bytes is left alone.
 *
 * Text is written through /proc/self/mem, so that it is never writable; where that is refused it is
 * writable or executable, never both. This only while a single thread runs. Before anything is
 * touched, a page of the same file is written to and made executable elsewhere: a kernel that
 * refuses that refuses it there. Constructor only.
 *
 * Where other threads may run, somebody else has to write the text while they stand: what is to be
 * written is noted then (vmt_go_patch_left).
 */
#ifndef VMT_GO_PATCH_H
#define VMT_GO_PATCH_H

#include "format/go.h"
#include "unwind/go_image.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_GO_PATCH_NUMBER_MASK 0xffffu
#define VMT_GO_PATCH_SITE_SHIFT 16

/* By number of the site; behind all sites their execs before they are made, and behind these the
 * same once they have failed (format/raw_calls.h). Written before the site's text is. */
#define VMT_GO_PATCH_NUMBERS (3 * VMT_GO_SITES)
extern uint64_t vmt_go_patch_exits[VMT_GO_PATCH_NUMBERS]; /* behind the syscall instruction */
extern uint64_t vmt_go_patch_bypasses[VMT_GO_PATCH_NUMBERS];

/* What a patch changes: a jump to its stub over the first bytes of so many at the address. */
struct vmt_go_patch_place {
	uint64_t address;
	uint64_t stub;
	uint64_t bytes;
};

/* Set before the first image is patched: the text is left as it is. */
struct vmt_go_patch_left {
	bool wanted;
	uint32_t count;
	struct vmt_go_patch_place places[VMT_GO_SITES];
};

extern struct vmt_go_patch_left vmt_go_patch_left;

/* Patches what is found of an image loaded at bias, and notes every site in the table. entry: see
 * above. Where refusal is not NULL nothing is patched, and it stands in the table as the reason. */
void vmt_go_patch_image(struct vmt_go *go, const struct vmt_go_image *image, uint64_t bias,
			const void *entry, const char *refusal);

#endif
