#include "base/pages.h"

uint64_t vmt_page_bytes = VMT_PAGE_LEAST_BYTES;

void
vmt_pages_set_size(uint64_t bytes)
{
	if (bytes >= VMT_PAGE_LEAST_BYTES && bytes <= VMT_PAGE_MOST_BYTES &&
	    (bytes & (bytes - 1)) == 0)
		vmt_page_bytes = bytes;
}
