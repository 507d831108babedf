/*
 * pages.h: how large is a page, and which whole pages are around an address?
 *
 * The kernel says the size to every program (AT_PAGESZ of the auxiliary vector): a host asks first
 * of all, and everybody else reads the variable. Until then it is 4096, which is right on x86_64. A
 * trace carries that of the machine that made it in its head: the others take the size as an
 * argument. Units: bytes. Thread and signal safe once the size is set.
 */
#ifndef VMT_PAGES_H
#define VMT_PAGES_H

#include <stdint.h>

/* Of any machine. */
#define VMT_PAGE_LEAST_BYTES 4096u
#define VMT_PAGE_MOST_BYTES 65536u

extern uint64_t vmt_page_bytes; /* a power of two */

/* What is no size that a machine has changes nothing. Before the first other thread. */
void vmt_pages_set_size(uint64_t bytes);

static inline uint64_t
vmt_pages_down(uint64_t bytes, uint64_t page_bytes)
{
	return bytes & ~(page_bytes - 1);
}

/* Goes round to 0 for the last page of the address space. */
static inline uint64_t
vmt_pages_up(uint64_t bytes, uint64_t page_bytes)
{
	return (bytes + page_bytes - 1) & ~(page_bytes - 1);
}

#endif
