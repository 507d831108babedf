/*
 * trace_fixture.h: what does a test need to make a trace and to read chunks back?
 *
 * Makes a trace file as a traced process would (small rings, mapped), and walks the chunks of one,
 * checking all that chunk.h promises of each. Asserts by cmocka; memory is the test's till it ends.
 */
#ifndef VMT_TRACE_FIXTURE_H
#define VMT_TRACE_FIXTURE_H

#include "base/procfs.h"
#include "format/checksum.h"
#include "format/chunk.h"
#include "format/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture_trace {
	char path[64];
	int fd;
	unsigned char *base;
	struct vmt_head *head;
};

struct fixture_chunk {
	const struct vmt_chunk *header;
	const unsigned char *payload;
};

struct fixture_chunks {
	unsigned char *bytes;
	size_t length;
	struct fixture_chunk *list;
	size_t count;
};

static inline uint64_t
fixture_start_ticks(void)
{
	struct vmt_procfs_stat stat;
	int fd = vmt_procfs_open(0, "stat");

	if (fd < 0 || !vmt_procfs_read_stat(fd, &stat))
		return 0;
	close(fd);
	return stat.start_ticks;
}

/* A trace of the calling process, at a path of the caller's. */
static inline void
fixture_make(struct fixture_trace *trace, const char *path, uint32_t capacity, uint64_t random_id)
{
	struct vmt_head head = {
	    .pid = (uint32_t)getpid(),
	    .start_ticks = fixture_start_ticks(),
	    .random_id = random_id,
	    .page_bytes = 4096,
	    .shards = 2,
	    .heap_capacity = capacity,
	    .map_capacity = capacity,
	    .stack_index_entries = 1024,
	    .stack_words = 4096,
	    .stack_words_used = 1,
	    .modules_bytes = 65536,
	    .modules_used = 8,
	};

	vmt_head_lay_out(&head);
	snprintf(trace->path, sizeof(trace->path), "%s", path);
	trace->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (trace->fd < 0 || posix_fallocate(trace->fd, 0, (off_t)head.chunks_offset) != 0 ||
	    pwrite(trace->fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		abort();
	trace->base =
	    mmap(NULL, head.chunks_offset, PROT_READ | PROT_WRITE, MAP_SHARED, trace->fd, 0);
	if (trace->base == MAP_FAILED)
		abort();
	trace->head = (struct vmt_head *)(void *)trace->base;
}

static inline void
fixture_close(struct fixture_trace *trace)
{
	munmap(trace->base, trace->head->chunks_offset);
	close(trace->fd);
}

/* False when the ring is full. */
static inline bool
fixture_put_heap(const struct fixture_trace *trace, uint32_t shard, uint64_t time, uint64_t address,
		 uint8_t kind)
{
	struct vmt_ring_view ring = vmt_head_ring(trace->head, trace->base, shard, VMT_RING_HEAP);
	uint64_t position;
	struct vmt_heap_event *slot = vmt_ring_claim(&ring, &position);

	if (!slot)
		return false;
	slot->stack = 0;
	slot->time = time;
	slot->address_kind = vmt_event_pack_address(address, kind);
	slot->size_thread = vmt_event_pack_size(64, 1);
	return vmt_ring_commit(&ring, position);
}

/* A copy of the event, but for its sequence. */
static inline bool
fixture_put_map_event(const struct fixture_trace *trace, uint32_t shard,
		      const struct vmt_map_event *event)
{
	struct vmt_ring_view ring = vmt_head_ring(trace->head, trace->base, shard, VMT_RING_MAP);
	uint64_t position;
	struct vmt_map_event *slot = vmt_ring_claim(&ring, &position);
	uint32_t sequence;

	if (!slot)
		return false;
	sequence = slot->sequence;
	*slot = *event;
	slot->sequence = sequence;
	return vmt_ring_commit(&ring, position);
}

static inline bool
fixture_put_map(const struct fixture_trace *trace, uint32_t shard, uint64_t time, uint64_t address,
		uint8_t kind, uint64_t argument_a)
{
	const struct vmt_map_event event = {.time = time,
					    .address = address,
					    .length = 4096,
					    .argument_a = argument_a,
					    .kind = kind};

	return fixture_put_map_event(trace, shard, &event);
}

static inline unsigned char *
fixture_read_file(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	unsigned char *bytes;
	size_t filled = 0;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	*length = (size_t)status.st_size;
	bytes = malloc(*length + 1);
	assert_non_null(bytes);
	while (filled < *length) {
		ssize_t got = pread(fd, bytes + filled, *length - filled, (off_t)filled);

		assert_true(got > 0);
		filled += (size_t)got;
	}
	close(fd);
	return bytes;
}

static inline void
fixture_check_chunk(const struct vmt_chunk *header, const unsigned char *payload, size_t sequence)
{
	struct vmt_chunk blank = *header;
	uint32_t checksum;

	assert_int_equal(header->magic, VMT_CHUNK_MAGIC);
	assert_int_equal(header->sequence, sequence);
	blank.checksum = 0;
	checksum = vmt_checksum_update(0, &blank, sizeof(blank));
	checksum = vmt_checksum_update(checksum, payload, header->payload_bytes);
	assert_int_equal(header->checksum, checksum);
}

/* Every chunk from `offset` to the end of the file; each must be whole and in order. */
static inline void
fixture_read_chunks(struct fixture_chunks *chunks, const char *path, uint64_t offset)
{
	memset(chunks, 0, sizeof(*chunks));
	chunks->bytes = fixture_read_file(path, &chunks->length);
	while (offset < chunks->length) {
		const struct vmt_chunk *header = (const void *)(chunks->bytes + offset);
		const unsigned char *payload = chunks->bytes + offset + sizeof(*header);

		assert_true(offset + sizeof(*header) <= chunks->length);
		assert_true(offset + sizeof(*header) + header->payload_bytes <= chunks->length);
		fixture_check_chunk(header, payload, chunks->count);
		chunks->list = realloc(chunks->list, (chunks->count + 1) * sizeof(chunks->list[0]));
		assert_non_null(chunks->list);
		chunks->list[chunks->count++] = (struct fixture_chunk){header, payload};
		offset += sizeof(*header) + ((header->payload_bytes + 7u) & ~7u);
	}
	assert_int_equal(offset, chunks->length);
}

static inline void
fixture_free_chunks(struct fixture_chunks *chunks)
{
	free(chunks->bytes);
	free(chunks->list);
}

#endif
