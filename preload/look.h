/*
 * look.h: how much of a range is committed, just before it is released?
 *
 * Asks mincore (no descriptor), one 2 MiB granule a call; granules that may hold file pages are
 * asked page by page with move_pages, which tells this process's own pages from the page cache and
 * knows the zero page. Bounded: past VMT_LOOK_LIMIT_BYTES an evenly spread sample of granules is
 * asked, scaled, and the answer marked. Makes no call where the program has a seccomp filter.
 * Units: bytes; addresses need no alignment, whole pages count. Less than 1.5 KiB of stack.
 * Async-signal-safe; clobbers nothing of the caller's, errno included.
 *
 * Kernel facts: mincore(2) of an anonymous range reports page table entries, the zero page included
 * (mm/mincore.c); of a file range it reports the page cache, or all ones to those who may not write
 * the file. move_pages(2) without target nodes reports a node number for a page that this process
 * maps, -ENOENT for none, -EFAULT for the zero page and for unmapped addresses (mm/migrate.c).
 */
#ifndef VMT_LOOK_H
#define VMT_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_LOOK_LIMIT_BYTES (UINT64_C(1) << 30)

/* Committed bytes of [address, address + length); *marks receives VMT_MARK_*. */
uint64_t vmt_look_committed(uint64_t address, uint64_t length, uint8_t *marks);

/* The range was mapped from a file or shared: remember to ask about it exactly. */
void vmt_look_note_file(uint64_t address, uint64_t length);

/* Whether some part of the range may be such; no false "no". */
bool vmt_look_is_file(uint64_t address, uint64_t length);

#endif
