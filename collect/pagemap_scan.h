/*
 * pagemap_scan.h: asks the kernel for the kinds of many pages at once
 *
 * PAGEMAP_SCAN of /proc/PID/pagemap, from Linux 6.7: include/uapi/linux/fs.h, which older headers
 * lack. Addresses in bytes, whole pages.
 */
#ifndef VMT_PAGEMAP_SCAN_H
#define VMT_PAGEMAP_SCAN_H

#include <stdint.h>
#include <sys/ioctl.h>

#define VMT_PAGE_IS_FILE (UINT64_C(1) << 2)
#define VMT_PAGE_IS_PRESENT (UINT64_C(1) << 3)
#define VMT_PAGE_IS_SWAPPED (UINT64_C(1) << 4)
#define VMT_PAGE_IS_PFNZERO (UINT64_C(1) << 5)
#define VMT_PAGE_IS_HUGE (UINT64_C(1) << 6)
#define VMT_PAGE_IS_GUARD (UINT64_C(1) << 8) /* Linux 6.15 */

struct vmt_scan_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

struct vmt_scan_argument {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t regions;
	uint64_t region_count;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_any_of;
	uint64_t return_mask;
};

#define VMT_SCAN_REQUEST _IOWR('f', 16, struct vmt_scan_argument)

#endif
