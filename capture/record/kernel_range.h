/*
 * kernel_range.h: which ranges the kernel takes, and whether anything lies in them
 *
 * Whatever a caller passes: no sum here wraps. Whether a range is free is asked by an mmap that the
 * kernel always refuses: MAP_FIXED_NOREPLACE of neither a private nor a shared mapping. It looks
 * for a mapping in the way first (-EEXIST) and at the kind of the new one last (-EINVAL), so
 * nothing is ever mapped. A kernel that works differently is found out by asking about a page that
 * is in use, and is not asked again.
 *
 * Units: bytes; addresses and lengths may have any value. Async-signal-safe; makes no call where
 * the program has a seccomp filter; errno is not touched.
 *
 * Kernel facts: do_mmap (mm/mmap.c) since Linux 4.17; TASK_SIZE is one page below 2^47, or below
 * 2^56 where page tables have five levels (arch/x86/include/asm/page_64_types.h).
 */
#ifndef VMT_KERNEL_RANGE_H
#define VMT_KERNEL_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* The whole pages that the kernel makes of a range, for calls that take all of it or nothing.
 * False: it refuses (unaligned, empty, wrapping, beyond the address space). */
bool vmt_kernel_range_takes(uint64_t address, uint64_t length, uint64_t *rounded);

/* The same for calls that work on whatever is mapped of the range (madvise, mprotect): what lies
 * beyond the address space is cut off. False: nothing can be left of it. */
bool vmt_kernel_range_cut(uint64_t address, uint64_t length, uint64_t *rounded);

/* Rounds up to a power of two. False: it would wrap. */
bool vmt_kernel_range_round(uint64_t length, uint64_t unit, uint64_t *rounded);

#define VMT_KERNEL_RANGE_UNKNOWN UINT64_MAX

/* The first page in use of [start, end), which are page addresses in the address space and the
 * first page is not in use; end where there is none; VMT_KERNEL_RANGE_UNKNOWN where the kernel
 * does not say or *calls, which counts down, is used up. */
uint64_t vmt_kernel_range_next(uint64_t start, uint64_t end, uint32_t *calls);

#endif
