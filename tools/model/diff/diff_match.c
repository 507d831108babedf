#include "tools/model/diff/diff_match.h"

#include "tools/model/diff/diff_key.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One site of one of the reports that has no row yet. */
struct entry {
	struct vmt_diff_key key;
	const struct vmt_site *site;
	size_t index; /* over both reports: the order of equals */
	bool of_b;
	bool taken;
};

struct matching {
	struct vmt_diff *diff;
	struct entry *entries;
	size_t count;
	size_t used; /* of the diff's members */
};

static int
compare_keys(const struct vmt_diff_key *a, const struct vmt_diff_key *b)
{
	if (a->usable != b->usable)
		return a->usable ? -1 : 1;
	for (size_t i = 0; i < 2; i++)
		if (a->words[i] != b->words[i])
			return a->words[i] < b->words[i] ? -1 : 1;
	return 0;
}

static int
compare_entries(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;
	int order = compare_keys(&a->key, &b->key);

	return order ? order : a->index < b->index ? -1 : a->index > b->index;
}

static void
sort_by_round(struct matching *matching, enum vmt_diff_round round)
{
	for (size_t i = 0; i < matching->count; i++) {
		struct entry *entry = &matching->entries[i];
		const struct vmt_report *report =
		    entry->of_b ? matching->diff->b : matching->diff->a;

		entry->key = vmt_diff_key_make(entry->site, report->process.exe, round);
	}
	qsort(matching->entries, matching->count, sizeof(*matching->entries), compare_entries);
}

static void
add(struct vmt_diff_figure *figure, bool of_b, uint64_t amount)
{
	uint64_t *side = of_b ? &figure->b : &figure->a;

	*side += amount;
}

static void
add_known(struct vmt_diff_figure *figure, bool of_b, uint64_t amount)
{
	uint64_t *side = of_b ? &figure->b : &figure->a;

	*side = vmt_diff_add_known(*side, amount);
}

static void
add_site(struct vmt_diff_site *row, const struct vmt_site *site, bool of_b)
{
	add(&row->count, of_b, site->count);
	add(&row->live_count, of_b, site->live_count);
	add(&row->reserved_bytes, of_b, site->reserved_bytes);
	add(&row->committed_bytes, of_b, site->committed_bytes);
	add(&row->swapped_bytes, of_b, site->swapped_bytes);
	add(&row->never_touched_bytes, of_b, site->never_touched_bytes);
	add(&row->hugetlb_bytes, of_b, site->hugetlb_bytes);
	add(&row->total_reserved_bytes, of_b, site->total_reserved_bytes);
	add(&row->released_bytes, of_b, site->released_bytes);
	add_known(&row->end_count, of_b, site->end_count);
	/* A site of another kind of call holds no blocks. */
	add_known(&row->end_bytes, of_b,
		  site->end_count == VMT_FIGURE_UNKNOWN ? VMT_FIGURE_UNKNOWN : site->end_bytes);
	add_known(&row->temporary_count, of_b, site->temporary_count);
	row->estimate |= site->estimate;
}

/* The largest of B, or of A where there is none of B. */
static void
choose_shown(struct vmt_diff_site *row)
{
	bool shown_of_b = false;

	for (size_t i = 0; i < row->member_count; i++) {
		const struct vmt_diff_member *member = &row->members[i];
		uint64_t bytes = vmt_diff_weight(row, member->site, member->of_b);

		if (shown_of_b && !member->of_b)
			continue;
		if (!shown_of_b && member->of_b)
			row->shown = NULL;
		if (!row->shown) {
			row->side_bytes = 0;
			shown_of_b = member->of_b;
		}
		row->side_bytes += bytes;
		if (!row->shown || bytes > row->shown_bytes) {
			row->shown = member->site;
			row->shown_bytes = bytes;
		}
	}
}

/* One row of the entries [first, end), which have the same key. */
static void
add_row(struct matching *matching, size_t first, size_t end, enum vmt_diff_match match)
{
	struct vmt_diff *diff = matching->diff;
	struct vmt_diff_site *row = &diff->sites[diff->site_count++];
	double estimated[2] = {0, 0};

	*row = (struct vmt_diff_site){.kind = matching->entries[first].site->kind,
				      .match = match,
				      .members = diff->members + matching->used};
	for (size_t i = first; i < end; i++) {
		struct entry *entry = &matching->entries[i];

		entry->taken = true;
		diff->members[matching->used++] =
		    (struct vmt_diff_member){entry->site, entry->of_b};
		row->member_count++;
		add_site(row, entry->site, entry->of_b);
		if (entry->site->estimate)
			estimated[entry->of_b] += (double)entry->site->committed_bytes;
	}
	choose_shown(row);
	row->error_bytes = vmt_diff_error(diff, estimated[0], estimated[1]);
}

static void
drop_taken(struct matching *matching)
{
	size_t kept = 0;

	for (size_t i = 0; i < matching->count; i++)
		if (!matching->entries[i].taken)
			matching->entries[kept++] = matching->entries[i];
	matching->count = kept;
}

/* End of the entries that have the key of the one at `first`, and whether both reports do. */
static size_t
group_end(const struct matching *matching, size_t first, bool *both)
{
	const struct entry *entries = matching->entries;
	size_t end = first + 1;

	*both = false;
	while (end < matching->count && compare_keys(&entries[end].key, &entries[first].key) == 0) {
		*both |= entries[end].of_b != entries[first].of_b;
		end++;
	}
	return end;
}

/* Go code calls many C functions: only where one of the reports has no names of them are they taken
 * for one. */
static bool
lacks_names(const struct matching *matching, size_t first, size_t end)
{
	bool named[2] = {false, false};

	for (size_t i = first; i < end; i++) {
		const struct entry *entry = &matching->entries[i];

		named[entry->of_b] |= !vmt_diff_key_is_nameless_c(entry->site);
	}
	return !named[0] || !named[1];
}

static void
match_round(struct matching *matching, enum vmt_diff_round round)
{
	bool both;
	size_t end;

	sort_by_round(matching, round);
	for (size_t i = 0; i < matching->count && matching->entries[i].key.usable; i = end) {
		end = group_end(matching, i, &both);
		if (both && (round != VMT_DIFF_BY_GO || lacks_names(matching, i, end)))
			add_row(matching, i, end, (enum vmt_diff_match)round);
	}
	drop_taken(matching);
}

static void
add_single(struct matching *matching)
{
	bool both;
	size_t end;

	sort_by_round(matching, VMT_DIFF_BY_NAMES);
	for (size_t i = 0; i < matching->count; i = end) {
		end = group_end(matching, i, &both);
		assert(!both);
		add_row(matching, i, end, matching->entries[i].of_b ? VMT_DIFF_NEW : VMT_DIFF_GONE);
	}
}

static void
add_entries(struct matching *matching, const struct vmt_report *report, bool of_b)
{
	for (size_t i = 0; i < report->site_count; i++) {
		matching->entries[matching->count] = (struct entry){
		    .site = &report->sites[i], .index = matching->count, .of_b = of_b};
		matching->count++;
	}
}

_Static_assert((int)VMT_DIFF_EXACT == VMT_DIFF_BY_NAMES &&
		   (int)VMT_DIFF_INLINING == VMT_DIFF_BY_CALLS &&
		   (int)VMT_DIFF_RUNTIME == VMT_DIFF_BY_OWN && (int)VMT_DIFF_GO == VMT_DIFF_BY_GO &&
		   (int)VMT_DIFF_INNERMOST == VMT_DIFF_BY_INNERMOST,
	       "a row's match is the round that found it");

int
vmt_diff_match_sites(struct vmt_diff *diff)
{
	size_t all = diff->a->site_count + diff->b->site_count;
	struct matching matching = {.diff = diff};

	if (all == 0)
		return 0;
	matching.entries = calloc(all, sizeof(*matching.entries));
	diff->sites = calloc(all, sizeof(*diff->sites));
	diff->members = calloc(all, sizeof(*diff->members));
	if (!matching.entries || !diff->sites || !diff->members) {
		free(matching.entries);
		return -ENOMEM;
	}
	add_entries(&matching, diff->a, false);
	add_entries(&matching, diff->b, true);
	for (unsigned round = 0; round < VMT_DIFF_ROUNDS; round++)
		match_round(&matching, (enum vmt_diff_round)round);
	add_single(&matching);
	free(matching.entries);
	return 0;
}
