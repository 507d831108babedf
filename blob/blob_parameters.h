/*
 * blob_parameters.h: what is told to the blob that was put into a process, and what it answers
 *
 * Lies in the blob's writable memory (vmt_blob_parameters). Whoever puts the blob there writes it
 * before vmt_blob_start runs, and reads it afterwards. Addresses are the process's own.
 */
#ifndef VMT_BLOB_PARAMETERS_H
#define VMT_BLOB_PARAMETERS_H

#include <stdint.h>

#define VMT_BLOB_SETTINGS_BYTES 32768u
#define VMT_BLOB_WHY_BYTES 512u

/* LEFT_OUT: VMTRACE_ONLY does not name it, which the session knows. ENDED: by vmt_blob_end. */
enum vmt_blob_state {
	VMT_BLOB_NOT_RUN,
	VMT_BLOB_RECORDING,
	VMT_BLOB_REFUSED,
	VMT_BLOB_LEFT_OUT,
	VMT_BLOB_ENDED
};

#define VMT_BLOB_STUBS 6u
#define VMT_BLOB_GO_PLACES 16u
#define VMT_BLOB_OWN 32u

struct vmt_blob_range {
	uint64_t start;
	uint64_t bytes; /* 0 = none */
};

/* The first of so many bytes become a jump to the stub. */
struct vmt_blob_go_place {
	uint64_t address;
	uint64_t stub;
	uint64_t bytes;
};

struct vmt_blob_parameters {
	/* Where the thread goes on when the blob has begun: with these two registers, all others
	 * zero, and this signal mask. */
	uint64_t resume_pc;
	uint64_t resume_sp;
	uint64_t resume_mask;

	uint64_t low; /* [low, high): the blob itself */
	uint64_t high;
	struct vmt_blob_range stubs[VMT_BLOB_STUBS];
	uint64_t frame_index; /* of the program, as .eh_frame_hdr; 0 = none */
	uint64_t frame_index_bytes;
	uint64_t frames_low; /* [low, high): what it is the index of */
	uint64_t frames_high;
	uint64_t program_headers; /* AT_PHDR */
	uint64_t executed;	  /* AT_EXECFN; 0 = not known */
	uint64_t invoked;	  /* the first argument; 0 = none */
	uint64_t calls_unseen_at; /* for the head */
	uint64_t heap_unseen_at;
	uint32_t heap_functions;
	uint32_t heap_unseen;
	uint32_t heap_is_glibc;
	uint32_t calls_unseen;
	uint32_t page_bytes;
	uint32_t reads_thread_base; /* 1: the kernel has it so (HWCAP2_FSGSBASE) */
	uint32_t attached;	    /* 1: the program has run already, and may have threads */
	uint32_t mappings;	    /* where attached: how many it had, shortly before */
	uint32_t shares_pointer;    /* 1: two of them may have the same thread pointer */
	uint32_t hides_alternates;  /* 1: some sigaltstack of it is not seen */
	uint32_t signal;	    /* that says that it is over; 0: no signal is sent */

	uint32_t starts; /* 1: nothing of the program has run yet */

	uint32_t state;		      /* enum vmt_blob_state */
	char why[VMT_BLOB_WHY_BYTES]; /* where it refused; NUL-terminated */

	/* Where attached, what the injector has to write in Go's code: jumps to stubs. */
	uint32_t go_places_count;
	struct vmt_blob_go_place go_places[VMT_BLOB_GO_PLACES];

	struct vmt_blob_range own[VMT_BLOB_OWN]; /* its memory, as far as it is told */

	/* When it is to leave: 1: the injector has found no thread in this code. And what it
	 * answers: 1: of its memory nothing is mapped any more but `own`. */
	uint32_t is_quiet;
	uint32_t has_left;

	/* "VARIABLE=value", each with its NUL, and one NUL more. */
	char settings[VMT_BLOB_SETTINGS_BYTES];
};

#endif
