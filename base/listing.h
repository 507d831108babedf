/*
 * listing.h: the numbers among the names that getdents64(2) lists
 *
 * Processes and threads, as /proc has them. No memory of its own; async-signal-safe.
 */
#ifndef VMT_LISTING_H
#define VMT_LISTING_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* struct linux_dirent64 of include/linux/dirent.h */
struct vmt_listing_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

/* What one call has given; at: the first that has not been read. */
struct vmt_listing {
	const void *bytes; /* aligned for its entries */
	size_t length;
	size_t at;
};

/* The next entry whose name is a number. False: there is no more, or what follows is no entry. */
static inline bool
vmt_listing_next(struct vmt_listing *listing, uint64_t *number)
{
	const size_t least = offsetof(struct vmt_listing_entry, name);

	while (listing->at + least < listing->length) {
		const void *at = (const char *)listing->bytes + listing->at;
		const struct vmt_listing_entry *entry = at;
		struct vmt_text name;

		if (entry->bytes <= least || entry->bytes > listing->length - listing->at)
			return false;
		name = vmt_text_of(entry->name, strnlen(entry->name, entry->bytes - least));
		listing->at += entry->bytes;
		if (vmt_text_take_decimal(&name, number))
			return true;
	}
	return false;
}

/* Whether all of it has been read. */
static inline bool
vmt_listing_is_done(const struct vmt_listing *listing)
{
	return listing->at == listing->length;
}

#endif
