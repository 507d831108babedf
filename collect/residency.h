/*
 * residency.h: finds which pages of a range are resident, and of what kind
 *
 * Three sources with one answer, runs of pages alike (docs/residency.md compares them):
 *
 *   PAGEMAP_SCAN  ioctl on /proc/PID/pagemap, Linux 6.7 (Documentation/admin-guide/mm/pagemap.rst)
 *   PAGEMAP       read of /proc/PID/pagemap: no huge pages; the zero page only where the reader may
 *                 see frame numbers (CAP_SYS_ADMIN), else it counts as present
 *   MINCORE       own process only: presence alone; swap and zero page can't be told, and a page of
 *                 a file counts when it is in the page cache
 *
 * An entry of a page table that is neither empty nor a page may be a marker and not swap: a guard
 * page (MADV_GUARD_INSTALL), a page under userfaultfd's write protection that is not there. Guards
 * are told by bit 58 of an entry from Linux 6.15 on; all of them, where the kernel counts nothing
 * of the process in swap. A marker is no page and in no run.
 *
 * Pages that other mappings have too, of this process or another, are told by bit 56 of a pagemap
 * entry, from Linux 4.2 on: PAGEMAP knows them, PAGEMAP_SCAN does where it is to read the entries
 * of what it found as well (`shares`), which costs three times what the scan does.
 *
 * Ranges are walked in slices, so that the target's mmap lock is never held long. The scratch and
 * the descriptor belong to the caller; nothing is allocated. Thread safe on separate handles.
 * Errors: negative errno.
 */
#ifndef VMT_COLLECT_RESIDENCY_H
#define VMT_COLLECT_RESIDENCY_H

#include "format/chunk.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_RESIDENCY_SCRATCH_BYTES (256u * 1024)

/* To tell file pages from anonymous ones the kernel looks at each page's struct, which makes the
 * scan four times as dear; mostly the mapping has told already. */
enum vmt_residency_files {
	VMT_RESIDENCY_FILES_ASK,  /* a private mapping of a file: some pages are copies */
	VMT_RESIDENCY_FILES_NONE, /* private and anonymous */
	VMT_RESIDENCY_FILES_ALL,  /* shared */
};

struct vmt_residency_reader {
	enum vmt_residency_source source;
	enum vmt_residency_files files; /* of the range to be scanned; a hint for PAGEMAP_SCAN */
	int pagemap_fd;			/* of the process looked at; unused by MINCORE */
	uint64_t page_bytes;
	bool nothing_swapped;	      /* by the kernel's own count: what looks so is a marker */
	bool knows_guards;	      /* PAGEMAP_SCAN: see vmt_residency_choice */
	bool shares;		      /* PAGEMAP_SCAN: tell shared pages too */
	uint64_t zero_frame;	      /* PAGEMAP: frame of the zero page; 0 = not known */
	unsigned char *scratch;	      /* VMT_RESIDENCY_SCRATCH_BYTES, 8-byte aligned */
	void (*pause)(void *context); /* called between slices; NULL: not wanted */
	void *pause_context;
};

/* Takes the runs: in rising order, never touching when alike. False stops the scan. */
struct vmt_residency_sink {
	bool (*put)(void *context, const struct vmt_run *run);
	void *context;
};

/* Whether this kernel offers the source to this process. */
bool vmt_residency_works(enum vmt_residency_source source);

struct vmt_residency_choice {
	enum vmt_residency_source source;
	bool knows_guards; /* PAGEMAP_SCAN tells guard pages from swapped ones */
};

/* `wanted` where it works for the purpose (MINCORE: own process only), else the best that does. */
struct vmt_residency_choice vmt_residency_choose(uint32_t wanted, bool own_process);

/* Whether runs of this reader tell shared pages. */
bool vmt_residency_knows_shares(const struct vmt_residency_reader *residency);

/* Frame number of the zero page; 0 where frames are hidden. */
uint64_t vmt_residency_zero_frame(void);

/* Scans [start, end), page aligned, for present and swapped pages. 0, or negative errno when the
 * address space is gone or can't be read; what was emitted before stays true. */
int vmt_residency_scan(const struct vmt_residency_reader *residency, uint64_t start, uint64_t end,
		       const struct vmt_residency_sink *sink);

#endif
