/*
 * moved_regions.h: a trace whose regions lie where another version could put them
 */
#ifndef MOVED_REGIONS_H
#define MOVED_REGIONS_H

#include "tests/unit/build_trace.h"

struct moved_region {
	uint64_t *offset;
	uint64_t bytes;
};

/* The same trace with its regions in the opposite order, a page of other things before each, and a
 * head of `head_bytes`. Of one shard. */
__attribute__((unused)) static void
moved_regions(struct build_trace *build, uint32_t head_bytes)
{
	struct vmt_head *head = build_trace_head(build);
	struct vmt_head old = *head;
	const struct moved_region places[] = {
	    {&old.modules_offset, head->modules_bytes},
	    {&old.stack_words_offset, head->stack_words * 8},
	    {&old.stack_index_offset, head->stack_index_entries * 8},
	    {&old.slots_offset,
	     head->heap_capacity * UINT64_C(32) + head->map_capacity * UINT64_C(64)},
	    {&old.controls_offset, VMT_RING_CLASSES * sizeof(struct vmt_ring)},
	};
	uint64_t at = (head_bytes + UINT64_C(4095)) & ~UINT64_C(4095);
	uint64_t room = build->room + 8 * 4096 + at;
	unsigned char *turned = NULL;

	assert_int_equal(posix_memalign((void **)&turned, 4096, room), 0);
	memset(turned, 0xee, room);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		uint64_t from = *places[i].offset;

		at += 4096;
		memcpy(turned + at, build->bytes + from, places[i].bytes);
		*places[i].offset = at;
		at += (places[i].bytes + 4095) & ~UINT64_C(4095);
	}
	memcpy(turned + at, build->bytes + head->chunks_offset,
	       build->length - head->chunks_offset);
	build->length = at + build->length - head->chunks_offset;
	old.chunks_offset = at;
	old.head_bytes = head_bytes;
	memcpy(turned, &old, sizeof(old));
	free(build->bytes);
	build->bytes = turned;
	build->room = room;
}

#endif
