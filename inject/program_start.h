/*
 * program_start.h: what the kernel told a program when it started
 *
 * From /proc/PID/auxv, which who may trace the process may read. Thread and signal safe. Errors:
 * negative errno.
 */
#ifndef VMT_PROGRAM_START_H
#define VMT_PROGRAM_START_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vmt_program_start {
	uint64_t program_headers; /* AT_PHDR */
	uint64_t executed;	  /* AT_EXECFN: an address in the process; 0 = not known */
	uint64_t loader;	  /* AT_BASE; 0 = none */
	uint32_t page_bytes;	  /* never 0 */
	bool reads_thread_base;	  /* HWCAP2_FSGSBASE */
	bool is_secure;		  /* AT_SECURE: it has more rights than who started it */
};

/* -ENOEXEC: it has no page size. */
int vmt_program_start_read(struct vmt_program_start *start, pid_t pid);

#endif
