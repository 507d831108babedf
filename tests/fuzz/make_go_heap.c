/* make_go_heap.c: see make_go_heap.h. */
#include "tests/fuzz/make_go_heap.h"

#include "format/go_heap.h"
#include "format/go_offsets.h"
#include "tests/fuzz/go_heap_objects.h"

#include <stdlib.h>
#include <string.h>

#define BASE UINT64_C(0xc000000000)
#define CHUNK (UINT64_C(512) * VMT_GO_PAGE_BYTES)
#define CHUNK_INDEX ((BASE + (UINT64_C(1) << 47)) / CHUNK)

/* Where the runtime's objects lie. */
#define HEAP UINT64_C(0x500000)
#define WORDS UINT64_C(0x540000)
#define SPANS UINT64_C(0x7f0000100000)
#define GOROUTINES UINT64_C(0x7f0000200000)
#define PROCESSOR UINT64_C(0x7f0000300000)
#define BUCKETS UINT64_C(0x7f0000400000)
#define SPECIALS UINT64_C(0x7f0000500000)
#define BITS UINT64_C(0x7f0000600000)

#define SMALL 40u /* spans */
#define LARGE 6u
#define LARGE_PAGES 5u
#define STACK_BYTES 2048u
#define STACKS 8u
#define BUCKET_BYTES (6u * 8 + 4u * 8 + 16u * 8)

struct made {
	unsigned char *at;
	struct image_head head;
	const struct vmt_go_offsets *offsets;
};

static void
put(unsigned char *at, uint32_t offset, uint64_t value, size_t bytes)
{
	memcpy(at + offset, &value, bytes);
}

static void
add(struct made *made, struct image_region region, const void *bytes)
{
	memcpy(made->at, &region, sizeof(region));
	made->at += sizeof(region);
	memset(made->at, 0, (region.bytes + 7) / 8 * 8);
	memcpy(made->at, bytes, region.bytes);
	made->at += (region.bytes + 7) / 8 * 8;
	made->head.regions++;
}

static void
add_once(struct made *made, uint64_t address, const void *bytes, uint32_t count)
{
	add(made, (struct image_region){.address = address, .bytes = count, .times = 1}, bytes);
}

static void
add_slice(struct made *made, uint64_t address, uint64_t list, uint64_t count)
{
	const uint64_t words[] = {list, count, count};

	add_once(made, address, words, sizeof(words));
}

/* `count` pointers to things that lie one behind the other. */
static void
add_list(struct made *made, uint64_t address, uint64_t first, uint32_t count, uint64_t step)
{
	add(made,
	    (struct image_region){.address = address, .bytes = 8, .times = count, .step = step},
	    &first);
}

/* Spans of one kind, one behind the other, in memory as in the heap. */
static void
add_spans(struct made *made, const unsigned char *span, uint32_t first, uint32_t count,
	  uint64_t pages)
{
	const struct vmt_go_offsets *offsets = made->offsets;

	add(made,
	    (struct image_region){.address = SPANS + first * offsets->span_bytes,
				  .bytes = offsets->span_bytes,
				  .times = count,
				  .grows = offsets->span_start,
				  .step = pages * VMT_GO_PAGE_BYTES},
	    span);
}

static void
add_heap(struct made *made)
{
	const struct vmt_go_offsets *offsets = made->offsets;
	const uint64_t range[] = {BASE, BASE + CHUNK};
	uint64_t bits[16] = {UINT64_MAX, 0xffff};
	uint64_t array = BITS - CHUNK_INDEX % 8192 * sizeof(bits);

	bits[9] = UINT64_MAX << 20; /* given back */
	made->head.addresses[2] = HEAP;
	add_slice(made, HEAP + offsets->heap_spans, WORDS, SMALL + LARGE + 1);
	add_slice(made, HEAP + offsets->heap_ranges, WORDS + 0x1000, 1);
	add_once(made, HEAP + offsets->heap_chunks + CHUNK_INDEX / 8192 * 8, &array, 8);
	add_once(made, BITS, bits, sizeof(bits));
	add_once(made, WORDS + 0x1000, range, sizeof(range));
	add_list(made, WORDS, SPANS, SMALL + LARGE + 1, offsets->span_bytes);
}

static void
add_all_spans(struct made *made)
{
	const struct vmt_go_offsets *offsets = made->offsets;
	unsigned char span[512] = {0};

	put(span, offsets->span_state, 1, 1);
	put(span, offsets->span_start, BASE, 8);
	put(span, offsets->span_pages, 1, 8);
	put(span, offsets->span_class, 10, 1);
	put(span, offsets->span_slots, 170, offsets->span_slots_bytes);
	put(span, offsets->span_slot_bytes, 48, 8);
	put(span, offsets->span_allocated, 100, 2);
	add_spans(made, span, 0, SMALL, 1);
	put(span, offsets->span_start, BASE + SMALL * VMT_GO_PAGE_BYTES, 8);
	put(span, offsets->span_pages, LARGE_PAGES, 8);
	put(span, offsets->span_class, 1, 1);
	put(span, offsets->span_slots, 1, offsets->span_slots_bytes);
	put(span, offsets->span_allocated, 1, 2);
	put(span, offsets->span_needzero, 1, 1);
	put(span, offsets->span_specials, SPECIALS, 8);
	add_spans(made, span, SMALL, LARGE, LARGE_PAGES);
	memset(span, 0, sizeof(span));
	put(span, offsets->span_state, 2, 1);
	put(span, offsets->span_start, BASE + (SMALL + LARGE * LARGE_PAGES) * VMT_GO_PAGE_BYTES, 8);
	put(span, offsets->span_pages, 4, 8);
	put(span, offsets->span_slot_bytes, STACK_BYTES, 8);
	add_spans(made, span, SMALL + LARGE, 1, 4);
}

static void
add_goroutines(struct made *made)
{
	const struct vmt_go_offsets *offsets = made->offsets;
	uint64_t stacks = BASE + (SMALL + LARGE * LARGE_PAGES) * VMT_GO_PAGE_BYTES;
	unsigned char goroutine[512] = {0};

	made->head.addresses[3] = WORDS + 0x2000;
	add_slice(made, WORDS + 0x2000, WORDS + 0x2100, STACKS);
	add_list(made, WORDS + 0x2100, GOROUTINES, STACKS, sizeof(goroutine));
	for (uint32_t i = 0; i < STACKS; i++) {
		put(goroutine, offsets->g_stack_low, stacks + i * STACK_BYTES, 8);
		put(goroutine, offsets->g_stack_high, stacks + (i + 1) * STACK_BYTES, 8);
		put(goroutine, offsets->g_status, i % 2 ? VMT_GO_DEAD : 4, 4);
		put(goroutine, offsets->g_creator, 0x401000 + i / 3, 8);
		add_once(made, GOROUTINES + i * sizeof(goroutine), goroutine,
			 sizeof(goroutine) - 128);
	}
}

static void
add_processor(struct made *made)
{
	const uint64_t processor = PROCESSOR;
	const uint64_t cache[] = {BASE + 448 * VMT_GO_PAGE_BYTES, 0xff, 0xf0};

	made->head.addresses[4] = WORDS + 0x3000;
	add_slice(made, WORDS + 0x3000, WORDS + 0x3100, 1);
	add_once(made, WORDS + 0x3100, &processor, sizeof(processor));
	add_once(made, PROCESSOR + made->offsets->p_cache, cache, sizeof(cache));
}

/* Of Go's memory profile: the first bucket is that of the large objects. */
static void
add_profile(struct made *made)
{
	const struct vmt_go_offsets *offsets = made->offsets;
	const uint64_t words[] = {BUCKETS, 7 << 1 | 1, 524288};
	uint64_t bucket[BUCKET_BYTES / 8] = {0, BUCKETS + BUCKET_BYTES, 1, 0, 40000, 4};
	unsigned char special[64] = {0};

	for (unsigned i = 0; i < 4; i++)
		bucket[6 + i] = 0x401000 + i * 16;
	bucket[10] = 10; /* allocated, freed, and the bytes of both */
	bucket[11] = 4;
	bucket[12] = 10 * bucket[4];
	bucket[13] = 4 * bucket[4];
	for (unsigned i = 0; i < 3; i++)
		made->head.addresses[5 + i] = WORDS + 0x4000 + i * 8;
	add_once(made, WORDS + 0x4000, words, sizeof(words));
	add(made,
	    (struct image_region){.address = BUCKETS,
				  .bytes = BUCKET_BYTES,
				  .times = 20,
				  .grows = 8,
				  .step = BUCKET_BYTES},
	    bucket);
	bucket[1] = 0;
	add_once(made, BUCKETS + UINT64_C(20) * BUCKET_BYTES, bucket, BUCKET_BYTES);
	put(special, offsets->special_next, SPECIALS + 64, 8);
	put(special, offsets->special_kind, 1, 1);
	add_once(made, SPECIALS, special, sizeof(special));
	put(special, offsets->special_next, 0, 8);
	put(special, offsets->special_kind, offsets->profile_kind, 1);
	put(special, offsets->profile_bucket, BUCKETS, 8);
	add_once(made, SPECIALS + 64, special, sizeof(special));
}

static void
add_counters(struct made *made)
{
	const uint64_t words[8] = {1, 2, 3};

	for (unsigned i = 0; i < 2; i++) {
		made->head.addresses[i] = WORDS + 0x5000 + i * sizeof(words);
		made->head.object_bytes[i] = sizeof(words);
		add_once(made, made->head.addresses[i], words, sizeof(words));
	}
}

size_t
make_go_heap(unsigned char *input, unsigned version)
{
	struct made made = {.at = input + sizeof(made.head),
			    .head = {.version = (uint8_t)version, .objects = 0xff},
			    .offsets = vmt_go_offsets_of(image_versions[version])};

	if (!made.offsets)
		return 0;
	add_heap(&made);
	add_all_spans(&made);
	add_goroutines(&made);
	add_processor(&made);
	add_profile(&made);
	add_counters(&made);
	memcpy(input, &made.head, sizeof(made.head));
	return (size_t)(made.at - input);
}
