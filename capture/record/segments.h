/*
 * segments.h: writes down the program break and System V segments
 *
 * The rules of format/event.h for what has no length in its arguments: a segment's comes from
 * IPC_STAT when it is attached and is remembered for shmdt (a bounded table; past it shmdt is
 * written with length 0), the break's from its old value. Call between vmt_guard_enter and
 * vmt_guard_leave; errno may be clobbered. Async-signal-safe.
 */
#ifndef VMT_SEGMENTS_H
#define VMT_SEGMENTS_H

#include <stdint.h>

/* Before the break moves to new_break: writes BRK_BEGIN where that shrinks the heap. Returns the
 * committed bytes about to be released. */
uint64_t vmt_segments_brk_begin(uint64_t old_break, uint64_t new_break, uint8_t *marks,
				uint32_t stack);
/* After it: error = 0 or errno. */
struct vmt_segments_brk {
	uint64_t old_break;
	uint64_t new_break;
	uint64_t committed_bytes; /* as brk_begin said */
	uint8_t marks;
	int error;
};
void vmt_segments_brk_end(const struct vmt_segments_brk *moved, uint32_t stack);

/* Bytes of a segment, in whole pages; 0 where the kernel would not say. */
uint64_t vmt_segments_bytes(int id);

/* Length of what was attached at an address, 0 where that is not known. */
uint64_t vmt_segments_attached_bytes(uint64_t address);

/* Nothing is attached at the address any more. */
void vmt_segments_forget(uint64_t address);

/* These make the raw call too and return the kernel's value. */
long vmt_segments_shmat(int id, uint64_t address, int flags, uint32_t stack);
long vmt_segments_shmdt(uint64_t address, uint32_t stack);

#endif
