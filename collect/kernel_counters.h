/*
 * kernel_counters.h: by how much the kernel's own figure of a process's RSS may be off
 *
 * Linux keeps RSS in counters for file, anonymous and shared pages (mm_struct.rss_stat). Before 6.2
 * each thread keeps up to 64 changes to itself (SPLIT_RSS_COUNTING, TASK_RSS_EVENTS_THRESH in
 * mm/memory.c). From 6.2 on each CPU keeps up to a batch of each counter to itself, of
 * max(32, 2 * CPUs) pages (compute_batch_value in lib/percpu_counter.c). Both statm and status are
 * off by it; smaps_rollup, which walks the page tables, is not. Later kernels may sum the CPUs'
 * parts up: then they are off by less than this says. Thread and signal safe; nothing is allocated.
 */
#ifndef VMT_COLLECT_KERNEL_COUNTERS_H
#define VMT_COLLECT_KERNEL_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* In pages, of the three counters together. release: as uname has it. VMT_FIGURE_UNKNOWN where a
 * figure that counts is, or the release is no version. */
uint64_t vmt_kernel_counters_error_pages(const char *release, uint64_t cpus, uint64_t threads);

/* How many CPUs a list such as "0-3,8" names; VMT_FIGURE_UNKNOWN where it is none. */
uint64_t vmt_kernel_counters_count_cpus(const char *list, size_t length);

/* The first, of this machine. */
uint64_t vmt_kernel_counters_own_error_pages(uint64_t threads);

#endif
