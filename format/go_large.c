#include "format/go_large.h"

#include "format/go_heap.h"
#include "format/varint.h"

#define PAGES_MOST ((UINT64_C(1) << 56) / VMT_GO_PAGE_BYTES) /* no machine has more */

uint64_t
vmt_go_large_pages(uint64_t object_bytes)
{
	return object_bytes / VMT_GO_PAGE_BYTES + (object_bytes % VMT_GO_PAGE_BYTES != 0);
}

unsigned char *
vmt_go_large_put(uint64_t *page, unsigned char *at, const struct vmt_go_large_object *object,
		 uint64_t pages)
{
	at = vmt_varint_put(at, object->start / VMT_GO_PAGE_BYTES - *page);
	*page = object->start / VMT_GO_PAGE_BYTES + pages;
	return vmt_varint_put(at, object->site);
}

bool
vmt_go_large_get(uint64_t *page, const unsigned char **at, const unsigned char *end,
		 const uint64_t *pages_of, uint64_t sites, struct vmt_go_large_object *object)
{
	uint64_t gap, site;

	if (sites == 0 || *page > PAGES_MOST ||
	    !vmt_varint_get_bounded(at, end, PAGES_MOST - *page, &gap) ||
	    !vmt_varint_get_bounded(at, end, sites - 1, &site) ||
	    pages_of[site] > PAGES_MOST - *page - gap)
		return false;
	object->start = (*page + gap) * VMT_GO_PAGE_BYTES;
	object->site = (uint32_t)site;
	*page += gap + pages_of[site];
	return true;
}
