/*
 * resident_probe.h: measures how much of a range is committed just before it is released
 *
 * What a look costs goes by what is mapped and resident, and is bounded whatever the range is.
 * mincore (no descriptor) answers for 16 MiB a call; pages that may be of a file are asked one by
 * one with move_pages, which tells this process's own pages from the page cache and knows the zero
 * page, and by mincore first only where few of them are this process's; holes are stepped over
 * (capture/record/kernel_range.h). Exact as far as VMT_RESIDENT_PROBE_BUDGET reaches: 64 MiB of
 * nothing, and more for each page that is found, up to 1 GiB; of what may be a file's 512 KiB, or 1
 * MiB where it is this process's; unless two questions in a row take more than ten times what they
 * usually do, as those about thousands of small mappings. From there on single pages are asked, one
 * in each of equal parts of the rest: 32, or one in 16 up to 128 of what may be a file's. The
 * answer is scaled and marked VMT_MARK_SAMPLED.
 *
 * Makes no call where the program has a seccomp filter. Units: bytes; addresses need no alignment,
 * whole pages count, no sum wraps. Less than 1.5 KiB of stack. Async-signal-safe; clobbers nothing
 * of the caller's, errno included.
 *
 * Kernel facts: mincore(2) answers mapping by mapping, so what lies before a hole has been answered
 * when it fails with ENOMEM. Of an anonymous range it reports page table entries, the zero page
 * included (mm/mincore.c); of a file range the page cache, or all ones to those who may not write
 * the file. A page without a page table costs .3 ns, one without an entry 3 ns, one that is there 1
 * ns, one of a file 20 to 60 ns, a mapping 100 to 300 ns, the call 300 to 600 ns. move_pages(2)
 * without target nodes reports a node number for a page that this process maps, -ENOENT for none,
 * -EFAULT for the zero page and for unmapped addresses (mm/migrate.c), at 60 to 100 ns a page; for
 * one or two pages it takes less than mincore.
 */
#ifndef VMT_RESIDENT_PROBE_H
#define VMT_RESIDENT_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/* What looks may still cost. All counts go down; a call of mincore counts as 64 pages. */
struct vmt_resident_probe_budget {
	int64_t pages;	  /* asked by mincore; a page that is found gives back 4 */
	int64_t singly;	  /* asked one by one by move_pages; one that is found gives it back */
	uint32_t found;	  /* by mincore, that give back */
	uint32_t own;	  /* found by move_pages, that give back */
	uint32_t skipped; /* calls that step over holes */
	uint32_t points;  /* asked where a range is sampled */
	bool slow;	  /* the last chunk took very long */
};

/* With so many pages that move_pages finds and that give back. */
#define VMT_RESIDENT_PROBE_BUDGET_OWN(pages_own)                                                   \
	((struct vmt_resident_probe_budget){.pages = 18432,                                        \
					    .singly = 128,                                         \
					    .found = 262144,                                       \
					    .own = (pages_own),                                    \
					    .skipped = 64,                                         \
					    .points = 128})
#define VMT_RESIDENT_PROBE_BUDGET VMT_RESIDENT_PROBE_BUDGET_OWN(128)

/* Of a call that itself takes longer for each page: 32 MiB of what is this process's are exact. */
#define VMT_RESIDENT_PROBE_LONG_BUDGET VMT_RESIDENT_PROBE_BUDGET_OWN(8192)

/* Committed bytes of [address, address + length); *marks receives VMT_MARK_*. */
uint64_t vmt_resident_probe_committed(uint64_t address, uint64_t length, uint8_t *marks);

/* The same for one range of a call that has several: all of them have one budget. */
uint64_t vmt_resident_probe_within(struct vmt_resident_probe_budget *budget, uint64_t address,
				   uint64_t length, uint8_t *marks);

#endif
