/*
 * remote_read.h: reads the memory of another process, in one piece or in many small ones
 *
 * process_vm_readv, which the kernel allows to whom it allows ptrace (ptrace(2), "Ptrace access
 * mode checking"). The process runs on meanwhile: what it writes at that time is seen in part.
 * Single-threaded. Errors: negative errno; -EFAULT: not all of it is mapped.
 */
#ifndef VMT_REMOTE_READ_H
#define VMT_REMOTE_READ_H

#include <stddef.h>
#include <stdint.h>

/* All of the bytes, or an error. */
int vmt_remote_read(uint32_t pid, uint64_t address, void *to, size_t bytes);

#define VMT_REMOTE_PIECE_MOST_BYTES 512u

/* Pieces of the same size at many addresses. */
struct vmt_remote_pieces {
	uint32_t pid;
	const uint64_t *addresses;
	size_t count;
	uint32_t piece_bytes; /* 1 to VMT_REMOTE_PIECE_MOST_BYTES */
	/* Called for each, in order; bytes: NULL where it is not mapped. */
	void (*visit)(void *context, size_t index, const unsigned char *bytes);
	void *context;
	void (*pause)(void *pause_context); /* called now and then; NULL: nothing */
	void *pause_context;
};

int vmt_remote_read_pieces(const struct vmt_remote_pieces *pieces);

#endif
