/*
 * process_memory.h: answers reads of a process's memory out of an image (process_image.h).
 *
 * As process_vm_readv(2) does: what is mapped up to the first byte that is not.
 */
#ifndef PROCESS_MEMORY_H
#define PROCESS_MEMORY_H

#include "tests/fuzz/process_image.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* What only answers is no part of what is fuzzed. */
#ifdef __clang__
#define IMAGE_UNCOUNTED __attribute__((no_sanitize("coverage")))
#else
#define IMAGE_UNCOUNTED
#endif

struct image_part {
	uint64_t address;
	uint64_t bytes;
	unsigned char *memory; /* of its own: reading beyond it is seen */
	bool is_unmapped;
};

struct process_image {
	struct image_head head;
	struct image_part parts[IMAGE_REGIONS];
	size_t part_count;
	struct image_change changes[IMAGE_CHANGES];
	size_t change_count;
	struct image_part *last; /* that was read; NULL: none */
	uint64_t pieces_read;
	uint64_t bytes_read;
};

static const uint8_t *
image_take(void *to, size_t bytes, const uint8_t *at, const uint8_t *end)
{
	size_t there = (size_t)(end - at) < bytes ? (size_t)(end - at) : bytes;

	memset(to, 0, bytes);
	memcpy(to, at, there);
	return at + there;
}

IMAGE_UNCOUNTED static void
image_fill(struct image_part *part, const struct image_region *region, const uint8_t *bytes)
{
	uint64_t word;

	for (uint64_t i = 0; i < region->times; i++) {
		unsigned char *copy = part->memory + i * region->bytes;

		memcpy(copy, bytes, region->bytes);
		if (region->bytes < sizeof(word) || region->grows > region->bytes - sizeof(word))
			continue;
		memcpy(&word, copy + region->grows, sizeof(word));
		word += i * region->step;
		memcpy(copy + region->grows, &word, sizeof(word));
	}
}

static const uint8_t *
image_open_region(struct process_image *image, uint64_t *room, const uint8_t *at,
		  const uint8_t *end)
{
	struct image_part *part = &image->parts[image->part_count];
	struct image_region region;

	at = image_take(&region, sizeof(region), at, end);
	if (region.bytes > (size_t)(end - at))
		region.bytes = (uint32_t)(end - at);
	if (region.bytes == 0)
		return at;
	if (region.times == 0 || region.times > *room / region.bytes)
		region.times = *room < region.bytes ? 0 : 1;
	part->address = region.address;
	part->bytes = (uint64_t)region.bytes * region.times;
	if (part->bytes != 0 && part->bytes - 1 <= UINT64_MAX - part->address) {
		part->memory = malloc(part->bytes);
		if (!part->memory)
			abort();
		image_fill(part, &region, at);
		*room -= part->bytes;
		image->part_count++;
	}
	at += region.bytes;
	return (size_t)(end - at) < (-(size_t)region.bytes & 7) ? end : at + (-region.bytes & 7u);
}

static void
image_open(struct process_image *image, const uint8_t *data, size_t size)
{
	const uint8_t *at = data;
	const uint8_t *end = data + size;
	uint64_t room = IMAGE_MOST_BYTES;

	memset(image, 0, sizeof(*image));
	at = image_take(&image->head, sizeof(image->head), at, end);
	for (size_t i = 0; i < image->head.regions && i < IMAGE_REGIONS && at != end; i++)
		at = image_open_region(image, &room, at, end);
	while (image->change_count < image->head.changes && image->change_count < IMAGE_CHANGES &&
	       at != end)
		at = image_take(&image->changes[image->change_count++], sizeof(struct image_change),
				at, end);
}

static void
image_close(struct process_image *image)
{
	for (size_t i = 0; i < image->part_count; i++)
		free(image->parts[i].memory);
}

IMAGE_UNCOUNTED static bool
image_holds(const struct image_part *part, uint64_t address, bool mapped)
{
	return address - part->address < part->bytes && !(mapped && part->is_unmapped);
}

/* The part that holds the address, mapped or not; NULL: there is none. */
IMAGE_UNCOUNTED static struct image_part *
image_part_at(struct process_image *image, uint64_t address, bool mapped)
{
	if (image->last && image_holds(image->last, address, mapped))
		return image->last;
	for (size_t i = 0; i < image->part_count; i++)
		if (image_holds(&image->parts[i], address, mapped))
			return image->last = &image->parts[i];
	return NULL;
}

static void
image_change_now(struct process_image *image, const struct image_change *change)
{
	struct image_part *part = image_part_at(image, change->address, false);
	uint64_t into, word = 0;

	if (!part)
		return;
	if (change->kind % IMAGE_CHANGE_KINDS <= IMAGE_MAP) {
		part->is_unmapped = change->kind % IMAGE_CHANGE_KINDS == IMAGE_UNMAP;
		return;
	}
	into = change->address - part->address;
	if (part->bytes < sizeof(word) || into > part->bytes - sizeof(word))
		return;
	if (change->kind % IMAGE_CHANGE_KINDS == IMAGE_ADD)
		memcpy(&word, part->memory + into, sizeof(word));
	word += change->value;
	memcpy(part->memory + into, &word, sizeof(word));
}

/* One piece; how many of its bytes are mapped. */
static size_t
image_read_piece(struct process_image *image, uint64_t address, unsigned char *to, size_t bytes)
{
	size_t done = 0;

	for (size_t i = 0; i < image->change_count; i++)
		if (image->changes[i].after == image->pieces_read)
			image_change_now(image, &image->changes[i]);
	image->pieces_read++;
	while (done < bytes) {
		struct image_part *part = image_part_at(image, address + done, true);
		uint64_t into, step;

		if (!part)
			break;
		into = address + done - part->address;
		step = part->bytes - into < bytes - done ? part->bytes - into : bytes - done;
		memcpy(to + done, part->memory + into, step);
		done += step;
	}
	image->bytes_read += done;
	return done;
}

/* process_vm_readv into one piece of memory. */
static long
image_read(struct process_image *image, const struct iovec *local, const struct iovec *remote,
	   size_t count)
{
	unsigned char *to = local->iov_base;
	size_t left = local->iov_len;
	size_t done = 0;

	for (size_t i = 0; i < count && left != 0; i++) {
		size_t wanted = remote[i].iov_len < left ? remote[i].iov_len : left;
		size_t got = image_read_piece(image, (uintptr_t)remote[i].iov_base, to, wanted);

		to += got;
		left -= got;
		done += got;
		if (got < wanted)
			break;
	}
	return done == 0 && local->iov_len != 0 && count != 0 ? -EFAULT : (long)done;
}

#endif
