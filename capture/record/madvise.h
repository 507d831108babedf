/*
 * madvise.h: gives an advice and writes it down
 *
 * Between vmt_guard_enter and vmt_guard_leave; the kernel's own value comes back. Where an advice
 * may give pages back, the page tables are asked just before the call; again after it, where what
 * came back is the kernel's to choose (MADV_PAGEOUT without swap takes nothing), where the number
 * is not known to this build, and where the call failed, which may be half-way. The event has the
 * time before the call and its outcome, and is written once it is over: one that the kernel refused
 * is known as such.
 *
 * process_madvise(2) says how many bytes it got through, in the order of the vector: ranges before
 * that are done, the one there in part, those behind it not at all (errno ECANCELED in their
 * events).
 */
#ifndef VMT_MADVISE_H
#define VMT_MADVISE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

long vmt_madvise_call(uint64_t address, uint64_t length, int advice, uint32_t stack);

struct vmt_madvise_vector {
	int pidfd;
	const struct iovec *ranges; /* the program's: may point anywhere */
	size_t entries;
	int advice;
	unsigned flags;
};

/* Writes an event a range where the pidfd is this process's; else just makes the call. Where the
 * kernel does not say whose it is, the trace gets a note (VMT_NOTE_VECTORS). */
long vmt_madvise_process(const struct vmt_madvise_vector *vector, uint32_t stack);

#endif
