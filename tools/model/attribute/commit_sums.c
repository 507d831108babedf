#include "tools/model/attribute/commit_sums.h"

#include "tools/hash_seed.h"

#include <errno.h>
#include <stdlib.h>

static struct vmt_commit_sum *
slot_of(struct vmt_commit_sum *items, size_t room, const struct vmt_commit_sum *key)
{
	uint64_t word = (uint64_t)key->site << 32 ^ key->toucher ^ (uint64_t)key->class << 56;
	size_t at = (size_t)vmt_hash_word(word) & (room - 1);

	while (items[at].used && (items[at].site != key->site || items[at].class != key->class ||
				  items[at].toucher != key->toucher))
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
	sum->bytes += more->bytes;
	sum->variance += more->variance;
	sum->estimate |= more->estimate;
	return 0;
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
	return (a->toucher > b->toucher) - (a->toucher < b->toucher);
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

void
vmt_commit_sums_clear(struct vmt_commit_sums *sums)
{
	free(sums->items);
	*sums = (struct vmt_commit_sums){0};
}
