/*
 * zero_pages.h: the zero page in a snapshot whose collector could not tell it
 *
 * Memory that was only read shows the kernel's zero page: present, and not RSS. Without
 * PAGEMAP_SCAN (Linux 6.7) and without leave to see frame numbers an entry of pagemap does not tell
 * it from a page that is shared after a fork: neither is of a file, and neither is mapped once
 * alone (fs/proc/task_mmu.c, pte_to_pagemap_entry). Of the two the kernel counts the shared page
 * alone. So where what was found exceeds RSS by the sum of all such pages, and smaps_rollup was
 * read, which is exact, each of them is the zero page. Where it does not, nothing is changed.
 */
#ifndef VMT_ZERO_PAGES_H
#define VMT_ZERO_PAGES_H

#include "tools/read/trace/decoded_snapshot.h"

/* Marks them in the runs of a snapshot that is decoded and checked. */
void vmt_zero_pages_mark(struct vmt_snapshot *snapshot);

#endif
