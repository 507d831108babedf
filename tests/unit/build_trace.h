/*
 * build_trace.h: how does a test get a small valid trace?
 *
 * Builds one in memory with the functions of format/, byte for byte as a traced process and its
 * collector would leave it:
 *
 *	struct build_trace *b = build_trace_new(NULL);
 *	uint32_t stack = build_trace_stack(b, frames, 3);
 *	build_trace_events(b, BUILD_MAP_RING(0), events, 4);     an EVENTS chunk
 *	build_trace_snapshot(b, &head, parts, 2);                a SNAPSHOT chunk
 *	build_trace_touch(b, &head, stacks, 2, samples, 9);      a TOUCH chunk
 *	build_trace_remain(b, BUILD_HEAP_RING(0), &event);       left in the ring, in no chunk
 *	build_trace_end(b, VMT_END_EXIT, 0, time);
 *	build_trace_write(b, path);             or build_trace_memfd(b, path)
 *	build_trace_free(b);
 *
 * Times are ticks of CLOCK_MONOTONIC; the trace begins at BUILD_START. Events that stay in a ring
 * are put there after all chunks of that ring. A mistake of the test fails it (cmocka asserts).
 */
#ifndef BUILD_TRACE_H
#define BUILD_TRACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/checksum.h"
#include "format/chunk.h"
#include "format/codec.h"
#include "format/columns.h"
#include "format/head.h"
#include "format/module_table.h"
#include "format/stack_table.h"
#include "format/touch.h"

#define BUILD_START UINT64_C(1000000)
#define BUILD_PID 0u /* nobody's: never alive */
#define BUILD_PATH_BYTES 64u
#ifndef BUILD_CHUNKS_BYTES /* a test that builds more defines it first */
#define BUILD_CHUNKS_BYTES (UINT32_C(16) << 20)
#endif

#define BUILD_HEAP_RING(shard) ((shard)*VMT_RING_CLASSES + VMT_RING_HEAP)
#define BUILD_MAP_RING(shard) ((shard)*VMT_RING_CLASSES + VMT_RING_MAP)

struct build_trace {
	unsigned char *bytes; /* the whole file so far */
	size_t length;
	size_t room;
	uint64_t sequence; /* of the next chunk */
	size_t last_chunk; /* offset of the last chunk's header */
	size_t (*compress)(void *dst, size_t dst_bytes, const void *src, size_t src_bytes);
};

/* A mapping of a snapshot and its runs. */
struct build_mapping {
	struct vmt_mapping mapping; /* path_bytes may be 0 with a path: strlen is taken */
	const struct vmt_run *runs;
	uint32_t run_count;
};

__attribute__((unused)) static void
build_trace_default_head(struct vmt_head *head)
{
	memset(head, 0, sizeof(*head));
	memcpy(head->magic, VMT_MAGIC, sizeof(head->magic));
	head->version = VMT_VERSION;
	head->head_bytes = sizeof(*head);
	head->pid = BUILD_PID;
	head->parent_pid = 1;
	head->start_ticks = 77;
	head->random_id = 0x1234567890abcdef;
	head->start_unix_ns = UINT64_C(1700000000000000000);
	strcpy(head->exe, "/usr/bin/victim");
	memcpy(head->cmdline, "victim\0--flag", sizeof("victim\0--flag"));
	head->cmdline_bytes = sizeof("victim\0--flag");
	head->page_bytes = VMT_PAGE_LEAST_BYTES;
	head->clock = VMT_CLOCK_MONOTONIC;
	head->malloc_mode = VMT_MALLOC_ALL;
	head->stack_mode = VMT_STACKS_DWARF;
	head->features = VMT_FEATURE_STACKS_SHARED;
	head->stack_depth = 30;
	head->clock_start = (struct vmt_clock_pair){BUILD_START, BUILD_START};
	head->shards = 1;
	head->heap_capacity = 16;
	head->map_capacity = 16;
	head->stack_index_entries = 64;
	head->stack_words = 512;
	head->modules_bytes = 4096;
}

__attribute__((unused)) static struct vmt_head *
build_trace_head(struct build_trace *build)
{
	return (struct vmt_head *)(void *)build->bytes;
}

__attribute__((unused)) static struct vmt_ring_view
build_trace_ring(struct build_trace *build, uint32_t ring)
{
	return vmt_head_ring(build_trace_head(build), build->bytes, ring / VMT_RING_CLASSES,
			     ring % VMT_RING_CLASSES);
}

/* Begins with a copy of this head, laid out afresh; NULL = build_trace_default_head's. */
__attribute__((unused)) static struct build_trace *
build_trace_new(const struct vmt_head *wanted)
{
	struct build_trace *build = calloc(1, sizeof(*build));
	struct vmt_head head;

	assert_non_null(build);
	if (wanted != NULL)
		head = *wanted;
	else
		build_trace_default_head(&head);
	vmt_head_lay_out(&head);
	/* Shared words want their cache lines: 64-byte alignment. */
	build->room = head.chunks_offset + BUILD_CHUNKS_BYTES;
	assert_int_equal(posix_memalign((void **)&build->bytes, 4096, build->room), 0);
	memset(build->bytes, 0, head.chunks_offset);
	head.stack_words_used = head.stack_words_used != 0 ? head.stack_words_used : 1;
	head.modules_used = head.modules_used != 0 ? head.modules_used : 8;
	memcpy(build->bytes, &head, sizeof(head));
	build->length = head.chunks_offset;
	return build;
}

__attribute__((unused)) static void
build_trace_free(struct build_trace *build)
{
	free(build->bytes);
	free(build);
}

__attribute__((unused)) static uint32_t
build_trace_stack(struct build_trace *build, const uint64_t *frames, uint32_t count)
{
	struct vmt_head *head = build_trace_head(build);
	struct vmt_stack_table table = {
	    .index = (uint64_t *)(void *)(build->bytes + head->stack_index_offset),
	    .index_mask = head->stack_index_entries - 1,
	    .words = (uint64_t *)(void *)(build->bytes + head->stack_words_offset),
	    .words_count = head->stack_words,
	    .words_used = &head->stack_words_used,
	    .dropped = &head->stacks_dropped,
	};

	return vmt_stack_table_intern(&table, frames, count);
}

/* A module that was at [low, high) when its record was made. */
__attribute__((unused)) static uint32_t
build_trace_module_at(struct build_trace *build, const char *path, uint64_t low, uint64_t high)
{
	struct vmt_head *head = build_trace_head(build);
	struct vmt_module module = {
	    .path = path,
	    .path_bytes = (uint32_t)strlen(path),
	    .build_id = (const unsigned char *)"0123456789abcdefghij",
	    .build_id_bytes = 20,
	    .low = low,
	    .high = high,
	    .bias = low,
	};

	return vmt_module_table_intern(build->bytes + head->modules_offset, head->modules_bytes,
				       &head->modules_used, &module);
}

__attribute__((unused)) static uint32_t
build_trace_module(struct build_trace *build, const char *path)
{
	return build_trace_module_at(build, path, 0, 0);
}

/* The chunk appended last, to be spoilt by a test; build_trace_seal makes its checksum right. */
__attribute__((unused)) static struct vmt_chunk *
build_trace_last_chunk(struct build_trace *build)
{
	return (struct vmt_chunk *)(void *)(build->bytes + build->last_chunk);
}

__attribute__((unused)) static void
build_trace_seal(struct vmt_chunk *chunk)
{
	uint32_t checksum;

	chunk->checksum = 0;
	checksum = vmt_checksum_update(0, chunk, sizeof(*chunk));
	chunk->checksum = vmt_checksum_update(checksum, chunk + 1, chunk->payload_bytes);
}

/* Appends bytes to the file; nothing moves. */
__attribute__((unused)) static void
build_trace_append(struct build_trace *build, const void *bytes, size_t length)
{
	assert_true(length <= build->room - build->length);
	if (length > 0)
		memcpy(build->bytes + build->length, bytes, length);
	build->length += length;
}

/* Appends a chunk with this payload; the caller has filled kind, times and positions. */
__attribute__((unused)) static void
build_trace_chunk(struct build_trace *build, const struct vmt_chunk *described, const void *payload,
		  size_t payload_bytes)
{
	static const unsigned char zeros[8];
	struct vmt_chunk chunk = *described;
	unsigned char *packed = NULL;

	chunk.magic = VMT_CHUNK_MAGIC;
	chunk.sequence = build->sequence++;
	chunk.raw_bytes = (uint32_t)payload_bytes;
	if (build->compress != NULL) {
		packed = malloc(payload_bytes + 1024);
		assert_non_null(packed);
		payload_bytes =
		    build->compress(packed, payload_bytes + 1024, payload, payload_bytes);
		payload = packed;
		chunk.flags |= VMT_CHUNK_ZSTD;
	}
	chunk.payload_bytes = (uint32_t)payload_bytes;
	build->last_chunk = build->length;
	build_trace_append(build, &chunk, sizeof(chunk));
	build_trace_append(build, payload, payload_bytes);
	build_trace_append(build, zeros, (8 - payload_bytes % 8) % 8);
	build_trace_seal(build_trace_last_chunk(build));
	free(packed);
}

/* The same chunk again and again, each with its own place in the file. */
__attribute__((unused)) static void
build_trace_repeat(struct build_trace *build, unsigned times)
{
	size_t length = build->length - build->last_chunk;
	unsigned char *bytes = malloc(length);

	assert_non_null(bytes);
	memcpy(bytes, build->bytes + build->last_chunk, length);
	for (unsigned i = 1; i <= times; i++) {
		build_trace_append(build, "\0\0\0\0\0\0\0", (8 - length % 8) % 8);
		build->last_chunk = build->length;
		build_trace_append(build, bytes, length);
		build_trace_last_chunk(build)->sequence = i;
		build_trace_seal(build_trace_last_chunk(build));
	}
	free(bytes);
}

__attribute__((unused)) static void
build_trace_fill_slot(void *slot, uint32_t ring, const struct vmt_event *event)
{
	struct vmt_heap_event *heap = slot;
	struct vmt_map_event *map = slot;

	if (ring % VMT_RING_CLASSES == VMT_RING_HEAP) {
		heap->stack = event->stack;
		heap->time = event->time;
		heap->address_kind = vmt_event_pack_address(event->address, event->kind);
		heap->size_thread = vmt_event_pack_size(event->length, event->thread);
		return;
	}
	map->stack = event->stack;
	map->time = event->time;
	map->address = event->address;
	map->length = event->length;
	map->argument_a = event->argument_a;
	map->argument_b = event->argument_b;
	map->flags = event->flags;
	map->thread = event->thread;
	map->error = event->error;
	map->advice = event->advice;
	map->kind = event->kind;
	map->protection = event->protection;
	map->marks = event->marks;
}

/* Leaves an event in the ring; returns its position. */
__attribute__((unused)) static uint64_t
build_trace_remain(struct build_trace *build, uint32_t ring, const struct vmt_event *event)
{
	struct vmt_ring_view view = build_trace_ring(build, ring);
	uint64_t position = 0;
	void *slot = vmt_ring_claim(&view, &position);

	assert_non_null(slot);
	build_trace_fill_slot(slot, ring, event);
	assert_true(vmt_ring_commit(&view, position));
	return position;
}

/* Claims a slot that its writer never commits. */
__attribute__((unused)) static uint64_t
build_trace_remain_busy(struct build_trace *build, uint32_t ring)
{
	struct vmt_ring_view view = build_trace_ring(build, ring);
	uint64_t position = 0;

	assert_non_null(vmt_ring_claim(&view, &position));
	return position;
}

/* Events through the ring into a chunk: claimed, committed, drained, released. */
__attribute__((unused)) static void
build_trace_events(struct build_trace *build, uint32_t ring, const struct vmt_event *events,
		   uint32_t count)
{
	struct vmt_ring_view view = build_trace_ring(build, ring);
	size_t room = VMT_COLUMNS_ROOM(count);
	unsigned char *payload = malloc(room);
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_EVENTS,
				  .ring = ring,
				  .events = count,
				  .time_min = count > 0 ? UINT64_MAX : 0,
				  .position_from = view.control->head};
	struct vmt_columns_encoder encoder;

	assert_non_null(payload);
	vmt_columns_begin_encode(&encoder, payload, room, 1);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t position = build_trace_remain(build, ring, &events[i]);

		assert_true(vmt_columns_put(&encoder, &events[i]));
		assert_true(vmt_ring_release(&view, position, VMT_RING_COMMITTED));
		if (events[i].time < chunk.time_min)
			chunk.time_min = events[i].time;
		if (events[i].time > chunk.time_max)
			chunk.time_max = events[i].time;
	}
	chunk.position_to = view.control->head;
	build_trace_chunk(build, &chunk, payload, vmt_columns_end_encode(&encoder));
	free(payload);
}

/* Counts, sums and the payload follow from the parts; the head's other fields are the caller's. */
__attribute__((unused)) static void
build_trace_snapshot(struct build_trace *build, const struct vmt_snapshot_head *wanted,
		     const struct build_mapping *parts, uint32_t count)
{
	struct vmt_snapshot_head head = *wanted;
	struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_SNAPSHOT,
	    .record_bytes = sizeof(head),
	    .time_min = head.time,
	    .time_max = head.time,
	};
	size_t room = sizeof(head);
	struct vmt_encoder encoder;
	unsigned char *payload;

	for (uint32_t i = 0; i < count; i++) {
		const char *path = parts[i].mapping.path;

		room += VMT_CODEC_MAPPING_MAX_BYTES + (path != NULL ? strlen(path) : 0);
		room += (size_t)parts[i].run_count * VMT_CODEC_RUN_MAX_BYTES;
		head.runs += parts[i].run_count;
		head.virtual_bytes += parts[i].mapping.end - parts[i].mapping.start;
	}
	payload = malloc(room);
	assert_non_null(payload);
	head.mappings = count;
	vmt_codec_begin_encode(&encoder, payload + sizeof(head), room - sizeof(head));
	for (uint32_t i = 0; i < count; i++) {
		struct vmt_mapping mapping = parts[i].mapping;

		if (mapping.path != NULL && mapping.path_bytes == 0)
			mapping.path_bytes = (uint16_t)strlen(mapping.path);
		assert_true(vmt_codec_put_mapping(&encoder, &mapping, parts[i].run_count));
		for (uint32_t r = 0; r < parts[i].run_count; r++) {
			const struct vmt_run *run = &parts[i].runs[r];

			assert_true(vmt_codec_put_run(&encoder, run));
			if ((run->kind & VMT_RUN_PRESENT) && !(run->kind & VMT_RUN_ZERO))
				head.resident_bytes += run->bytes;
			if (run->kind & VMT_RUN_SWAPPED)
				head.swap_bytes += run->bytes;
			if (run->kind & VMT_RUN_HUGE)
				head.huge_bytes += run->bytes;
		}
	}
	memcpy(payload, &head, sizeof(head));
	build_trace_chunk(build, &chunk, payload, (size_t)(encoder.at - payload));
	free(payload);
}

/* Usage records in rising time. */
/* Sampled page faults, with the head's period and counts. */
__attribute__((unused)) static void
build_trace_touch(struct build_trace *build, const struct vmt_touch_head *head,
		  const struct vmt_touch_stack *stacks, uint32_t stack_count,
		  const struct vmt_touch_sample *samples, uint32_t count)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_TOUCH,
				  .record_bytes = sizeof(*head),
				  .events = count,
				  .time_min = count > 0 ? UINT64_MAX : 0};
	size_t room = sizeof(*head) + (size_t)stack_count * VMT_TOUCH_STACK_MAX_BYTES +
		      ((size_t)count + 1) * VMT_TOUCH_SAMPLE_MAX_BYTES;
	unsigned char *payload = malloc(room);
	struct vmt_touch_encoder encoder;

	assert_non_null(payload);
	vmt_touch_begin_encode(&encoder, payload, room);
	for (uint32_t i = 0; i < stack_count; i++)
		assert_true(vmt_touch_put_stack(&encoder, &stacks[i]));
	for (uint32_t i = 0; i < count; i++) {
		assert_true(vmt_touch_put_sample(&encoder, &samples[i]));
		if (samples[i].time < chunk.time_min)
			chunk.time_min = samples[i].time;
		if (samples[i].time > chunk.time_max)
			chunk.time_max = samples[i].time;
	}
	build_trace_chunk(build, &chunk, payload, vmt_touch_end_encode(&encoder, head));
	free(payload);
}

__attribute__((unused)) static void
build_trace_usage(struct build_trace *build, const struct vmt_usage *usage, uint32_t count)
{
	struct vmt_chunk chunk = {
	    .kind = VMT_CHUNK_USAGE,
	    .record_bytes = sizeof(*usage),
	    .time_min = usage[0].time,
	    .time_max = usage[count - 1].time,
	};

	build_trace_chunk(build, &chunk, usage, count * sizeof(*usage));
}

__attribute__((unused)) static void
build_trace_end(struct build_trace *build, enum vmt_end how, int status, uint64_t time)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_END, .time_min = time, .time_max = time};
	struct vmt_chunk_end end = {
	    .time = time, .monotonic_ns = time, .end = how, .status = status};

	build_trace_chunk(build, &chunk, &end, sizeof(end));
}

__attribute__((unused)) static void
build_trace_write_bytes(const char *path, const void *bytes, size_t length)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	if (length > 0)
		assert_int_equal(fwrite(bytes, length, 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

__attribute__((unused)) static void
build_trace_write(const struct build_trace *build, const char *path)
{
	build_trace_write_bytes(path, build->bytes, build->length);
}

/* The trace as a file without a name, under a path of /proc/self/fd. The caller closes it. */
__attribute__((unused)) static int
build_trace_memfd(const struct build_trace *build, char path[BUILD_PATH_BYTES])
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, build->bytes, build->length), build->length);
	snprintf(path, BUILD_PATH_BYTES, "/proc/self/fd/%d", fd);
	return fd;
}

#endif
