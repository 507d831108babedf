#include "tools/read/trace/go_large_chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SITE_LEAST_BYTES 3u
#define OBJECT_LEAST_BYTES 2u

struct rest {
	const unsigned char *at;
	const unsigned char *end;
};

void
vmt_go_large_chunk_free(struct vmt_go_large_read *large)
{
	free(large->sites);
	free(large->addresses);
	free(large->objects);
	*large = (struct vmt_go_large_read){.sites = NULL};
}

/* A frame is a byte at least, so that what the rows hold fits. */
static bool
read_sites(struct vmt_go_large_read *large, struct rest *rest)
{
	struct vmt_go_profile_coder coder;

	vmt_go_profile_begin(&coder);
	for (uint64_t i = 0; i < large->head.sites; i++) {
		uint64_t frames[VMT_GO_PROFILE_FRAMES];
		struct vmt_go_profile_row *site = &large->sites[i];

		if (!vmt_go_profile_get(&coder, &rest->at, rest->end, site, frames))
			return false;
		memcpy(large->addresses + large->address_count, frames,
		       site->frames * sizeof(*frames));
		large->address_count += site->frames;
	}
	return true;
}

static bool
read_objects(struct vmt_go_large_read *large, struct rest *rest)
{
	uint64_t *pages = calloc((size_t)large->head.sites + 1, sizeof(*pages));
	uint64_t page = 0;
	bool sound = pages != NULL;

	for (uint64_t i = 0; pages && i < large->head.sites; i++)
		pages[i] = vmt_go_large_pages(large->sites[i].object_bytes);
	for (uint64_t i = 0; sound && i < large->head.objects; i++)
		sound = vmt_go_large_get(&page, &rest->at, rest->end, pages, large->head.sites,
					 &large->objects[i]);
	free(pages);
	return sound;
}

int
vmt_go_large_chunk_read(struct vmt_go_large_read *large, const struct vmt_chunk *header,
			const unsigned char *payload, size_t length, struct vmt_err *err)
{
	struct rest rest = {payload + header->record_bytes, payload + length};
	size_t bytes;

	*large = (struct vmt_go_large_read){.sites = NULL};
	if (header->record_bytes < sizeof(large->head) || header->record_bytes > length)
		return vmt_err_set(err, EBADMSG, "Go's large objects, of %zu bytes, have no head",
				   length);
	bytes = length - header->record_bytes;
	memcpy(&large->head, payload, sizeof(large->head));
	if (large->head.sites <= bytes / SITE_LEAST_BYTES &&
	    large->head.objects <= bytes / OBJECT_LEAST_BYTES) {
		large->sites = calloc((size_t)large->head.sites + 1, sizeof(*large->sites));
		large->addresses = calloc(bytes + 1, sizeof(*large->addresses));
		large->objects = calloc((size_t)large->head.objects + 1, sizeof(*large->objects));
	}
	if (large->sites && large->addresses && large->objects && read_sites(large, &rest) &&
	    read_objects(large, &rest))
		return 0;
	vmt_go_large_chunk_free(large);
	return vmt_err_set(err, EBADMSG, "Go's large objects are cut or wrong");
}
