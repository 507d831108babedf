/*
 * cut_cache.h: what was found in the files of programs that were started before
 *
 * A shell starts the same program again and again, and to search its code takes long. What
 * cut_search.h found is kept by the file's identity: device, inode, size and both times. A file
 * that was changed so lately that a second change could have the same times is not kept. What is
 * found here is moved to where the program lies this time, and its code is looked at where it would
 * be replaced: other bytes there are another program. At most VMT_CUT_CACHE_FILES files of
 * VMT_CUT_CACHE_BYTES together; the one that was not wanted for longest goes first.
 *
 * All zero is an empty one. Single-threaded. No errors: without memory nothing is kept.
 */
#ifndef VMT_CUT_CACHE_H
#define VMT_CUT_CACHE_H

#include "inject/cut_search.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_CUT_CACHE_FILES 16u
#define VMT_CUT_CACHE_BYTES (UINT64_C(32) << 20)

/* All zero: not to be known again. */
struct vmt_cut_cache_key {
	uint64_t device;
	uint64_t inode;
	uint64_t bytes;
	int64_t changed_ns; /* its content */
	int64_t noted_ns;   /* its inode, too: nobody sets this time back */
};

struct vmt_cut_cache_entry {
	struct vmt_cut_cache_key key;
	uint64_t program_headers; /* AT_PHDR of the program that it was found in */
	uint64_t used;		  /* in the order of the cache's `uses`; 0: empty */
	struct vmt_program_cuts cuts;
};

struct vmt_cut_cache {
	struct vmt_cut_cache_entry entries[VMT_CUT_CACHE_FILES];
	uint64_t uses;
	uint64_t hits;
};

/* As vmt_cut_search_run, of a program of which nothing has run; by what is kept, where it can be.
 */
int vmt_cut_cache_search(struct vmt_cut_cache *cache, struct vmt_program_cuts *cuts,
			 const struct vmt_cut_search *search);

void vmt_cut_cache_close(struct vmt_cut_cache *cache);

#endif
