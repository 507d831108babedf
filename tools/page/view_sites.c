#include "tools/page/view_sites.h"

#include "tools/hash_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Rows into which sites are folded. kind and class are strings of the program's own, one each. */
struct fold_key {
	const char *kind;
	const char *class;
	uint32_t node;
	uint32_t zero; /* no padding in a key */
};

struct fold {
	struct fold_key key;
	uint32_t row;
	UT_hash_handle hh;
};

struct ranked {
	uint64_t committed_bytes;
	uint64_t reserved_bytes;
	uint64_t total_reserved_bytes;
	size_t site;
};

static int
compare_ranked(const void *left, const void *right)
{
	const struct ranked *a = left;
	const struct ranked *b = right;

	if (a->committed_bytes != b->committed_bytes)
		return a->committed_bytes < b->committed_bytes ? 1 : -1;
	if (a->reserved_bytes != b->reserved_bytes)
		return a->reserved_bytes < b->reserved_bytes ? 1 : -1;
	if (a->total_reserved_bytes != b->total_reserved_bytes)
		return a->total_reserved_bytes < b->total_reserved_bytes ? 1 : -1;
	return (a->site > b->site) - (a->site < b->site);
}

/* is_small[site]: to be folded. NULL: no memory. */
static bool *
find_small(const struct vmt_report *report, size_t most_sites)
{
	bool *is_small = calloc(report->site_count + 1, sizeof(*is_small));
	struct ranked *ranked;

	if (!is_small || report->site_count <= most_sites)
		return is_small;
	ranked = calloc(report->site_count, sizeof(*ranked));
	if (!ranked) {
		free(is_small);
		return NULL;
	}
	for (size_t i = 0; i < report->site_count; i++)
		ranked[i] = (struct ranked){report->sites[i].committed_bytes,
					    report->sites[i].reserved_bytes,
					    report->sites[i].total_reserved_bytes, i};
	qsort(ranked, report->site_count, sizeof(*ranked), compare_ranked);
	for (size_t i = most_sites; i < report->site_count; i++)
		is_small[ranked[i].site] = true;
	free(ranked);
	return is_small;
}

/* The row of a folded site: a new one where there is none yet. 0 or -ENOMEM. */
static int
find_fold(struct fold **folds, const struct fold_key *key, size_t row_count, uint32_t *row)
{
	struct fold *fold;

	HASH_FIND(hh, *folds, key, sizeof(*key), fold);
	if (!fold) {
		fold = calloc(1, sizeof(*fold));
		if (!fold)
			return -ENOMEM;
		fold->key = *key;
		fold->row = (uint32_t)row_count;
		HASH_ADD(hh, *folds, key, sizeof(fold->key), fold);
		if (!fold->hh.tbl) {
			free(fold);
			return -ENOMEM;
		}
	}
	*row = fold->row;
	return 0;
}

static void
add_up(struct vmt_view_row *row, const struct vmt_site *site)
{
	row->kind = site->kind;
	row->class = site->class;
	row->count += site->count;
	row->total_reserved_bytes += site->total_reserved_bytes;
	row->released_bytes += site->released_bytes;
	row->released_committed_bytes += site->released_committed_bytes;
	row->estimate |= site->estimate;
}

static int
add_site(struct vmt_view_sites *sites, const struct vmt_site *site, bool is_small, size_t depth,
	 struct fold **folds, struct vmt_view_stacks *stacks, uint32_t *row)
{
	struct fold_key key = {.kind = site->kind, .class = site->class};
	int result =
	    vmt_view_stacks_add(stacks, &site->stack, is_small ? depth : SIZE_MAX, &key.node);

	*row = (uint32_t)sites->row_count;
	if (result == 0 && is_small) {
		result = find_fold(folds, &key, sites->row_count, row);
		sites->folded_sites++;
		sites->folded_committed_bytes += site->committed_bytes;
	}
	if (result < 0)
		return result;
	if (*row == sites->row_count)
		sites->row_count++;
	sites->rows[*row].node = key.node;
	sites->rows[*row].is_folded = is_small;
	sites->rows[*row].stack = is_small ? NULL : &site->stack;
	add_up(&sites->rows[*row], site);
	return 0;
}

int
vmt_view_sites_make(struct vmt_view_sites *sites, const struct vmt_report *report,
		    size_t most_sites, size_t folded_depth, struct vmt_view_stacks *stacks)
{
	bool *is_small = find_small(report, most_sites);
	struct fold *folds = NULL;
	int result = 0;

	*sites = (struct vmt_view_sites){0};
	sites->rows = calloc(report->site_count + 1, sizeof(*sites->rows));
	sites->row_of = calloc(report->site_count + 1, sizeof(*sites->row_of));
	if (!is_small || !sites->rows || !sites->row_of)
		result = -ENOMEM;
	for (size_t i = 0; i < report->site_count && result == 0; i++)
		result = add_site(sites, &report->sites[i], is_small[i], folded_depth, &folds,
				  stacks, &sites->row_of[i]);
	VMT_HASH_TABLE_FREE(struct fold, folds, free);
	free(is_small);
	return result;
}

void
vmt_view_sites_free(struct vmt_view_sites *sites)
{
	free(sites->rows);
	free(sites->row_of);
}
