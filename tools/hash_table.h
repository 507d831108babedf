/*
 * hash_table.h: hash tables by uthash, where an item that finds no memory is left out
 *
 * uthash ends the program where a table can't grow, and here it does not: after HASH_ADD an item
 * whose hh.tbl is NULL is not in the table, and the caller's to free. Items stay where they are in
 * memory, and in the order in which they were added. Hashes are seeded (hash_seed.h).
 */
#ifndef VMT_HASH_TABLE_H
#define VMT_HASH_TABLE_H

#include "tools/hash_seed.h"

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)vmt_hash_bytes((key), (bytes)))
#include <uthash.h>

/* Ends the table of `items` and calls release(item) for each: clearing leaves them linked. */
#define VMT_HASH_TABLE_FREE(type, items, release)                                                  \
	do {                                                                                       \
		type *item_ = (items);                                                             \
                                                                                                   \
		HASH_CLEAR(hh, (items));                                                           \
		while (item_) {                                                                    \
			type *next_ = item_->hh.next;                                              \
                                                                                                   \
			release(item_);                                                            \
			item_ = next_;                                                             \
		}                                                                                  \
	} while (0)

#endif
