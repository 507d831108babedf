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

/* LEFT_OUT: VMTRACE_ONLY does not name it, which the session knows. */
enum vmt_blob_state { VMT_BLOB_NOT_RUN, VMT_BLOB_RECORDING, VMT_BLOB_REFUSED, VMT_BLOB_LEFT_OUT };

struct vmt_blob_parameters {
	/* Where the thread goes on when the blob has begun: with these two registers, all others
	 * zero, and this signal mask. */
	uint64_t resume_pc;
	uint64_t resume_sp;
	uint64_t resume_mask;

	uint64_t low; /* [low, high): the blob itself */
	uint64_t high;
	uint64_t stubs; /* 0 = none */
	uint64_t stubs_bytes;
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

	uint32_t starts; /* 1: nothing of the program has run yet */

	uint32_t state;		      /* enum vmt_blob_state */
	char why[VMT_BLOB_WHY_BYTES]; /* where it refused; NUL-terminated */

	/* "VARIABLE=value", each with its NUL, and one NUL more. */
	char settings[VMT_BLOB_SETTINGS_BYTES];
};

#endif
