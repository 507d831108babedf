#include "tools/model/space/resident.h"

#include "base/assert.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RESIDENT, SWAPPED, HUGE_PAGES, HUGETLB, SHARED, KINDS };

_Static_assert(sizeof(*((struct vmt_resident *)0)->before) == KINDS * sizeof(uint64_t),
	       "sums have a place for each kind");

static bool
is_resident(const struct vmt_run *run)
{
	return (run->kind & VMT_RUN_PRESENT) && !(run->kind & VMT_RUN_ZERO);
}

int
vmt_resident_open(struct vmt_resident *resident, const struct vmt_run *runs, size_t count)
{
	uint64_t sums[KINDS] = {0};

	*resident = (struct vmt_resident){.runs = runs, .count = count};
	resident->before = calloc(count + 1, sizeof(*resident->before));
	if (!resident->before)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (is_resident(&runs[i]))
			sums[RESIDENT] += runs[i].bytes;
		else if (runs[i].kind & VMT_RUN_SWAPPED)
			sums[SWAPPED] += runs[i].bytes;
		if (is_resident(&runs[i]) && (runs[i].kind & VMT_RUN_HUGE))
			sums[HUGE_PAGES] += runs[i].bytes;
		if (runs[i].kind & VMT_RUN_HUGETLB)
			sums[HUGETLB] += runs[i].bytes;
		if (is_resident(&runs[i]) && (runs[i].kind & VMT_RUN_SHARED))
			sums[SHARED] += runs[i].bytes;
		assert(i == 0 || runs[i - 1].start + runs[i - 1].bytes <= runs[i].start);
		memcpy(resident->before[i + 1], sums, sizeof(sums));
	}
	return 0;
}

void
vmt_resident_close(struct vmt_resident *resident)
{
	free(resident->before);
	*resident = (struct vmt_resident){0};
}

/* The first run that ends after address. */
static size_t
run_after(const struct vmt_resident *resident, uint64_t address)
{
	size_t low = 0;
	size_t high = resident->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (resident->runs[middle].start + resident->runs[middle].bytes <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
vmt_resident_has_page(const struct vmt_resident *resident, uint64_t address)
{
	size_t index = run_after(resident, address);

	return index < resident->count && resident->runs[index].start <= address &&
	       !(resident->runs[index].kind & VMT_RUN_ZERO);
}

/* What the run at `index` has below address. */
static uint64_t
part_below(const struct vmt_resident *resident, size_t index, uint64_t address, int kind)
{
	uint64_t whole = resident->before[index + 1][kind] - resident->before[index][kind];
	const struct vmt_run *run = &resident->runs[index];

	vmt_assert(address < run->start + run->bytes);
	return whole && address > run->start ? address - run->start : 0;
}

/* Bytes of that kind below address. */
static uint64_t
below(const struct vmt_resident *resident, size_t index, uint64_t address, int kind)
{
	uint64_t bytes = resident->before[index][kind];

	return index < resident->count ? bytes + part_below(resident, index, address, kind) : bytes;
}

/* The first run that ends after `end`, as it is often `first`. */
static size_t
last_run(const struct vmt_resident *resident, size_t first, uint64_t end)
{
	if (first < resident->count &&
	    resident->runs[first].start + resident->runs[first].bytes <= end)
		return run_after(resident, end);
	return first;
}

struct vmt_amounts
vmt_resident_range(const struct vmt_resident *resident, uint64_t start, uint64_t end)
{
	size_t first = run_after(resident, start);
	size_t last = last_run(resident, first, end);
	struct vmt_amounts amounts = {.bytes = {[VMT_AMOUNT_RESERVED] = end - start}};

	assert(start <= end && first <= last);
	amounts.bytes[VMT_AMOUNT_COMMITTED] =
	    below(resident, last, end, RESIDENT) - below(resident, first, start, RESIDENT);
	amounts.bytes[VMT_AMOUNT_SWAPPED] =
	    below(resident, last, end, SWAPPED) - below(resident, first, start, SWAPPED);
	amounts.bytes[VMT_AMOUNT_HUGETLB] =
	    below(resident, last, end, HUGETLB) - below(resident, first, start, HUGETLB);
	amounts.bytes[VMT_AMOUNT_SHARED] =
	    below(resident, last, end, SHARED) - below(resident, first, start, SHARED);
	assert(amounts.bytes[VMT_AMOUNT_COMMITTED] <= end - start);
	assert(amounts.bytes[VMT_AMOUNT_SHARED] <= amounts.bytes[VMT_AMOUNT_COMMITTED]);
	return amounts;
}

uint64_t
vmt_resident_huge(const struct vmt_resident *resident, uint64_t start, uint64_t end)
{
	size_t first = run_after(resident, start);
	size_t last = last_run(resident, first, end);

	return below(resident, last, end, HUGE_PAGES) - below(resident, first, start, HUGE_PAGES);
}
