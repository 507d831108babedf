/*
 * allocator_scan.h: finds an allocator that is linked into the program
 *
 * Reads the symbol table of /proc/PID/exe, once, and appends an ALLOCATOR chunk where it names
 * functions of a known allocator (format/allocator_code.h). A table of more than 64 MiB is left
 * alone, one of more than 2 MiB unless the program is known to define malloc: that costs some 10 ms
 * of a CPU. A stripped file has none. The file is untrusted. Single-threaded; what it reads lies in
 * a mapping of its own, which is gone when it returns. Errors: negative errno, -ENOENT: no such
 * function.
 */
#ifndef VMT_ALLOCATOR_SCAN_H
#define VMT_ALLOCATOR_SCAN_H

#include "collect/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_allocator_scan_job {
	int exe_fd; /* of the program's file; stays open */
	uint32_t clock;
	bool defines_malloc;
};

int vmt_allocator_scan_take(const struct vmt_allocator_scan_job *job, struct vmt_writer *writer);

#endif
