/*
 * lookup_cache.h: what earlier runs learnt of a module, kept on disk.
 *
 * Answers are kept under the recorded build-id and path, and hold for as long as the files that
 * they came from do: every path that was tried, the loaded file, debug files that were there and
 * those that were not, and this program, has the identity that it had. So a file that claims
 * another's build-id is asked and answers for itself, and what a cache says is what would be found
 * without it. Answers about files that changed shortly before are not kept: a further change might
 * not show.
 */
#ifndef VMT_LOOKUP_CACHE_H
#define VMT_LOOKUP_CACHE_H

#include "tools/read/symbols/answer_table.h"
#include "tools/read/symbols/disk_cache.h"

#include <stdint.h>

/* The key: bytes of the build-id (one byte), build-id, path. */
struct vmt_lookup_cache {
	const unsigned char *key;
	size_t key_bytes;
	unsigned char *tried; /* records of struct vmt_lookup_tried; NULL = not known; owned */
	size_t tried_bytes;
	struct vmt_answer_table answers;
};

/* Fills in what is kept and still holds. */
void vmt_lookup_cache_load(struct vmt_lookup_cache *kept, struct vmt_disk_cache *cache);

/* Keeps it, if it still holds. */
void vmt_lookup_cache_save(const struct vmt_lookup_cache *kept, struct vmt_disk_cache *cache);

/* Right after the child told what it tried: that no later change can stay unseen. */
bool vmt_lookup_cache_is_settled(const struct vmt_lookup_cache *kept);

#endif
