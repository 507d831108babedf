/*
 * libunwind.h: walks the stack by libunwind
 *
 * The only file that knows libunwind: the reference that tests compare the walker of capture.c
 * with, and a walker to choose by VMTRACE_STACKS=libunwind. Opened with dlopen while the library
 * initialises, from beside libvmtrace.so first, then the system's; never linked, since a missing
 * NEEDED library would keep the traced program from starting.
 *
 * It makes system calls, takes locks on a cache miss and may allocate: choosing it gives up
 * async-signal-safety and the promise that nothing of ours stays behind. x86-64 alone.
 */
#ifndef VMT_LIBUNWIND_H
#define VMT_LIBUNWIND_H

#include <stdbool.h>
#include <stdint.h>

/* Finds libunwind. Set-up only: calls the loader. */
bool vmt_libunwind_open(void);

/* As vmt_capture_walk, with every address as libunwind gives it. 0 without libunwind. */
uint32_t vmt_libunwind_walk(const void *frame, uint64_t *addresses, uint32_t limit);

#endif
