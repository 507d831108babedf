/*
 * tree_pages.h: pages of many snapshots, each counted once.
 *
 * A page of a file, or of memory that is mapped shared, is known by its place in the file. A
 * private page that other processes map too came down by forks: it is taken for the same page as
 * that at its address in the others of the family, which may be one too few, where two children
 * made different copies and forked again. In a snapshot that stands apart, from when other
 * processes were there than in the others, a page that is nobody else's may be one that others
 * have as shared at its address; it is taken for that one.
 * Bytes. Memory is bounded by VMT_TREE_PAGES_MOST. One thread at a time.
 */
#ifndef VMT_TREE_PAGES_H
#define VMT_TREE_PAGES_H

#include "tools/read/trace/snapshot_decode.h"

struct vmt_tree_pages;

/* Ranges of pages: some 32 bytes each. */
#define VMT_TREE_PAGES_MOST (UINT64_C(8) << 20)

struct vmt_tree_page_sums {
	uint64_t file_bytes;	  /* pages of files and shared memory, each once */
	uint64_t anonymous_bytes; /* private pages, by their addresses and who shares them */
};

struct vmt_tree_pages *vmt_tree_pages_new(void);
void vmt_tree_pages_free(struct vmt_tree_pages *pages);

/* Forgets what was added. */
void vmt_tree_pages_clear(struct vmt_tree_pages *pages);

/* False: too many for the bound, a place that no file has, or no memory; sums are then not known.
 */
bool vmt_tree_pages_add(struct vmt_tree_pages *pages, const struct vmt_snapshot *snapshot,
			bool is_apart);
void vmt_tree_pages_sum(struct vmt_tree_pages *pages, struct vmt_tree_page_sums *sums);

#endif
