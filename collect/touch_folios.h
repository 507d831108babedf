/*
 * touch_folios.h: how much memory may one page fault bring?
 *
 * Linux 6.8 and later give anonymous memory in folios of several pages, where it is told to (mTHP,
 * /sys/kernel/mm/transparent_hugepage/hugepages-*kB/enabled). A sample of such a fault names one
 * page of the folio, and its size. Sizes of a huge page are not asked: a sample has those.
 */
#ifndef VMT_TOUCH_FOLIOS_H
#define VMT_TOUCH_FOLIOS_H

#include <stdint.h>

struct vmt_touch_folios {
	uint32_t always;  /* bit N: 1 << N bytes, of all anonymous memory */
	uint32_t advised; /* ... of memory advised MADV_HUGEPAGE */
};

/* What /sys says now; nothing where it says nothing. directory: that of the settings. */
struct vmt_touch_folios vmt_touch_folios_read(const char *directory);

#define VMT_TOUCH_FOLIOS_DIRECTORY "/sys/kernel/mm/transparent_hugepage"

#endif
