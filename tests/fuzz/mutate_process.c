/*
 * mutate_process.c: libFuzzer's mutations, for one who knows what the memory of a process is.
 *
 * Half of them are libFuzzer's own. In the others a word of memory, or where the runtime's objects
 * are said to be, becomes an address within the image, another word, or an odd number; a region
 * lies there more often, or grows; memory changes at a later moment. Linked with fuzz_go_heap.c
 * alone.
 */
#include "tests/fuzz/process_image.h"

#include <stddef.h>
#include <string.h>

#define AFTER_MOST 4096u

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* An image under change; regions by offset. */
struct work {
	uint8_t *bytes;
	size_t size;
	size_t room;
	uint64_t random;
	struct image_head head;
	size_t count;
	size_t at[IMAGE_REGIONS]; /* whole ones */
	size_t end;		  /* of the last: changes begin there */
};

static uint64_t
roll(struct work *work, uint64_t sides)
{
	work->random ^= work->random << 13;
	work->random ^= work->random >> 7;
	work->random ^= work->random << 17;
	return sides == 0 ? 0 : (work->random >> 11) % sides;
}

static struct image_region
region_at(const struct work *work, size_t i)
{
	struct image_region region;

	memcpy(&region, work->bytes + work->at[i], sizeof(region));
	return region;
}

static void
find_regions(struct work *work)
{
	size_t at = sizeof(work->head);

	memcpy(&work->head, work->bytes, sizeof(work->head));
	while (work->count < work->head.regions && work->count < IMAGE_REGIONS &&
	       work->size - at >= sizeof(struct image_region)) {
		uint64_t padded;

		work->at[work->count] = at;
		padded = ((uint64_t)region_at(work, work->count).bytes + 7) / 8 * 8;
		if (padded > work->size - at - sizeof(struct image_region))
			break;
		at += sizeof(struct image_region) + padded;
		work->count++;
	}
	work->end = at;
}

static uint64_t
odd_number(struct work *work)
{
	static const uint64_t numbers[] = {
	    0, 1, 2, 7, 8, 63, 64, 127, 128, 1024, 4096, 8192, 65535, 65536, UINT32_MAX,
	};
	uint64_t power = UINT64_C(1) << roll(work, 64);

	switch (roll(work, 4)) {
	case 0:
		return power;
	case 1:
		return power - 1;
	case 2:
		return -power;
	default:
		return numbers[roll(work, sizeof(numbers) / sizeof(*numbers))];
	}
}

/* An address in the image, most often. */
static uint64_t
any_address(struct work *work)
{
	struct image_region region;
	uint64_t bytes;

	if (work->count == 0 || roll(work, 8) == 0)
		return odd_number(work);
	region = region_at(work, roll(work, work->count));
	bytes = (uint64_t)region.bytes * (region.times ? region.times : 1);
	switch (roll(work, 8)) {
	case 0:
		return region.address;
	case 1:
		return region.address + bytes - roll(work, 64);
	case 2:
		return region.address + roll(work, bytes + 1);
	default:
		return region.address + roll(work, bytes / 8 + 1) * 8;
	}
}

/* Where a word of the memory lies in the input; 0: there is none. */
static size_t
any_word(struct work *work)
{
	size_t i = roll(work, work->count);

	if (work->count == 0 || region_at(work, i).bytes < 8)
		return 0;
	return work->at[i] + sizeof(struct image_region) +
	       roll(work, region_at(work, i).bytes / 8) * 8;
}

static void
change_word(struct work *work)
{
	size_t at = any_word(work);
	size_t other = any_word(work);
	uint64_t word;

	if (at == 0)
		return;
	memcpy(&word, work->bytes + at, sizeof(word));
	switch (roll(work, 5)) {
	case 0:
		word = odd_number(work);
		break;
	case 1:
		memcpy(&word, work->bytes + other, sizeof(word));
		break;
	case 2:
		word += roll(work, 2) ? 8 * roll(work, 64) : -8 * roll(work, 64);
		break;
	case 3:
		word ^= UINT64_C(1) << roll(work, 64);
		break;
	default:
		word = any_address(work);
	}
	memcpy(work->bytes + at, &word, sizeof(word));
}

static void
change_region(struct work *work)
{
	size_t i = roll(work, work->count);
	struct image_region region;

	if (work->count == 0)
		return;
	region = region_at(work, i);
	switch (roll(work, 4)) {
	case 0:
		region.times = (uint32_t)odd_number(work);
		break;
	case 1:
		region.grows = (uint32_t)(8 * roll(work, region.bytes / 8 + 1));
		region.step = roll(work, 2) ? region.bytes : odd_number(work);
		break;
	case 2:
		region.step = odd_number(work);
		break;
	default:
		region.address = any_address(work);
	}
	memcpy(work->bytes + work->at[i], &region, sizeof(region));
}

static void
change_head(struct work *work)
{
	uint64_t which = roll(work, IMAGE_OBJECTS + 3);

	if (which < IMAGE_OBJECTS)
		work->head.addresses[which] = any_address(work);
	else if (which == IMAGE_OBJECTS)
		work->head.version = (uint8_t)roll(work, 10);
	else if (which == IMAGE_OBJECTS + 1)
		work->head.object_bytes[roll(work, 2)] = (uint32_t)odd_number(work);
	else
		work->head.objects ^= (uint16_t)(1u << roll(work, IMAGE_OBJECTS));
	memcpy(work->bytes, &work->head, sizeof(work->head));
}

/* One more moment at which memory changes. */
static void
add_change(struct work *work)
{
	struct image_change change = {.after = (uint32_t)roll(work, 1 + roll(work, AFTER_MOST)),
				      .kind = (uint32_t)roll(work, IMAGE_CHANGE_KINDS),
				      .address = any_address(work),
				      .value = any_address(work)};
	size_t at = work->end + work->head.changes * sizeof(change);

	if (work->head.changes >= IMAGE_CHANGES)
		at = work->end + roll(work, IMAGE_CHANGES) * sizeof(change);
	else
		work->head.changes++;
	if (work->count != work->head.regions || at > work->size ||
	    work->room - at < sizeof(change))
		return;
	memcpy(work->bytes + at, &change, sizeof(change));
	memcpy(work->bytes, &work->head, sizeof(work->head));
	if (at + sizeof(change) > work->size)
		work->size = at + sizeof(change);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct work work = {
	    .bytes = data, .size = size, .room = max_size, .random = (uint64_t)seed << 1 | 1};
	uint64_t rounds;

	if (size < sizeof(work.head) || roll(&work, 2) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	find_regions(&work);
	rounds = 1 + roll(&work, 4);
	for (uint64_t i = 0; i < rounds; i++) {
		switch (roll(&work, 8)) {
		case 0:
			change_head(&work);
			break;
		case 1:
			change_region(&work);
			break;
		case 2:
			add_change(&work);
			break;
		default:
			change_word(&work);
		}
	}
	return work.size;
}
