#include "tools/model/attribute/commit_sums.h"

#include "tools/hash_seed.h"
#include "tools/model/space/sites.h"

#include <errno.h>
#include <stdlib.h>

static bool
is_same(const struct vmt_commit_sum *left, const struct vmt_commit_sum *right)
{
	return left->site == right->site && left->class == right->class &&
	       left->toucher == right->toucher && left->serial == right->serial;
}

static struct vmt_commit_sum *
slot_of(struct vmt_commit_sum *items, size_t room, const struct vmt_commit_sum *key)
{
	uint64_t word = (uint64_t)key->site << 32 ^ key->toucher ^ (uint64_t)key->class << 56;
	size_t at = (size_t)vmt_hash_word(vmt_hash_word(word) ^ key->serial) & (room - 1);

	while (items[at].used && !is_same(&items[at], key))
		at = (at + 1) & (room - 1);
	return &items[at];
}

static int
grow(struct vmt_commit_sums *sums)
{
	size_t room = sums->room ? sums->room * 2 : 256;
	struct vmt_commit_sum *items;

	if (sums->items && sums->count < sums->room / 2)
		return 0;
	items = calloc(room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; sums->items && i < sums->room; i++)
		if (sums->items[i].used)
			*slot_of(items, room, &sums->items[i]) = sums->items[i];
	free(sums->items);
	sums->items = items;
	sums->room = room;
	return 0;
}

static void
add_to(struct vmt_commit_sum *sum, const struct vmt_commit_sum *more)
{
	sum->bytes += more->bytes;
	sum->variance += more->variance;
	sum->samples += more->samples;
	sum->estimate |= more->estimate;
}

int
vmt_commit_sums_add(struct vmt_commit_sums *sums, const struct vmt_commit_sum *more)
{
	struct vmt_commit_sum *sum;

	if (grow(sums))
		return -ENOMEM;
	sum = slot_of(sums->items, sums->room, more);
	if (!sum->used) {
		*sum = *more;
		sum->used = true;
		sums->count++;
		return 0;
	}
	add_to(sum, more);
	return 0;
}

/* Serial 0 is of touches that are known to be their pages' last. */
static int
compare_serials(uint32_t left, uint32_t right)
{
	return (left - 1 < right - 1) - (left - 1 > right - 1);
}

static int
compare_touchers(const void *left, const void *right)
{
	const struct vmt_commit_sum *a = left;
	const struct vmt_commit_sum *b = right;

	if (a->toucher != b->toucher)
		return a->toucher < b->toucher ? -1 : 1;
	return compare_serials(a->serial, b->serial);
}

static int
compare(const void *left, const void *right)
{
	const struct vmt_commit_sum *a = left;
	const struct vmt_commit_sum *b = right;

	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->site != b->site)
		return a->site < b->site ? -1 : 1;
	if ((a->toucher == VMT_SITE_NONE) != (b->toucher == VMT_SITE_NONE))
		return a->toucher == VMT_SITE_NONE ? 1 : -1;
	if (a->serial != b->serial)
		return compare_serials(a->serial, b->serial);
	return compare_touchers(a, b);
}

void
vmt_commit_sums_sort(struct vmt_commit_sums *sums)
{
	size_t count = 0;

	for (size_t i = 0; sums->items && i < sums->room; i++)
		if (sums->items[i].used)
			sums->items[count++] = sums->items[i];
	if (count)
		qsort(sums->items, count, sizeof(*sums->items), compare);
}

size_t
vmt_commit_sums_join(struct vmt_commit_sums *sums, size_t first, size_t end)
{
	size_t last = first;

	qsort(&sums->items[first], end - first, sizeof(*sums->items), compare_touchers);
	for (size_t i = first + 1; i < end; i++)
		if (sums->items[i].toucher == sums->items[last].toucher)
			add_to(&sums->items[last], &sums->items[i]);
		else
			sums->items[++last] = sums->items[i];
	return last + 1;
}

void
vmt_commit_sums_clear(struct vmt_commit_sums *sums)
{
	free(sums->items);
	*sums = (struct vmt_commit_sums){0};
}
