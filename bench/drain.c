/*
 * drain.c: what does an event of a ring cost the collector, where only its code counts?
 *
 * Usage: drain TRACE [ROUNDS]. Puts the heap's events of a trace into a ring again, as many as a
 * batch takes, and drains them: one thread, warm caches. Prints the ns of CPU time an event, lowest
 * and median of the rounds, as it is and without compression.
 */
#include "collect/drain.h"
#include "tools/read/trace/zstd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CAPACITY 16384u
#define ROUNDS_MAX 99u

static struct vmt_heap_event *events;
static size_t event_count;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
add_chunk(const struct vmt_chunk *chunk, const unsigned char *payload)
{
	unsigned char *raw = malloc(chunk->raw_bytes + 1);
	struct vmt_columns_decoder decoder;
	struct vmt_event event;

	if (!raw)
		fail("malloc");
	if (!(chunk->flags & VMT_CHUNK_ZSTD))
		memcpy(raw, payload, chunk->payload_bytes);
	else if (!vmt_zstd_decompress(raw, chunk->raw_bytes, payload, chunk->payload_bytes))
		fail("zstd");
	events = realloc(events, (event_count + chunk->events) * sizeof(*events));
	if (!events || !vmt_columns_begin_decode(&decoder, raw, chunk->raw_bytes))
		fail("chunk");
	for (uint32_t i = 0; i < chunk->events && vmt_columns_get(&decoder, &event); i++)
		events[event_count++] = (struct vmt_heap_event){
		    .stack = event.stack,
		    .time = event.time,
		    .address_kind = vmt_event_pack_address(event.address, event.kind),
		    .size_thread = vmt_event_pack_size(event.length, event.thread)};
	free(raw);
}

static void
load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	const unsigned char *bytes;
	uint64_t at;

	if (fd < 0 || fstat(fd, &status) != 0)
		fail(path);
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		fail(path);
	close(fd);
	at = ((const struct vmt_head *)(const void *)bytes)->chunks_offset;
	while (at + sizeof(struct vmt_chunk) <= (uint64_t)status.st_size) {
		const struct vmt_chunk *chunk = (const void *)(bytes + at);

		if (chunk->kind == VMT_CHUNK_EVENTS && chunk->events != 0 &&
		    chunk->ring % VMT_RING_CLASSES == VMT_RING_HEAP)
			add_chunk(chunk, bytes + at + sizeof(*chunk));
		at += sizeof(*chunk) + ((chunk->payload_bytes + 7u) & ~UINT64_C(7));
	}
}

struct place {
	struct vmt_head *head;
	struct vmt_drain drain;
	struct vmt_drain_scratch scratch;
	struct vmt_buffer packed;
	struct vmt_writer writer;
};

static void
set_up(struct place *place, bool compress)
{
	struct vmt_head layout = {.features = VMT_FEATURE_DISCARDS_TOLD,
				  .shards = 1,
				  .heap_capacity = CAPACITY,
				  .map_capacity = 8,
				  .stack_index_entries = 8,
				  .stack_words = 8,
				  .modules_bytes = 8};

	vmt_head_lay_out(&layout);
	place->head = mmap(NULL, layout.chunks_offset, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (place->head == MAP_FAILED)
		fail("mmap");
	*place->head = layout;
	vmt_drain_open(&place->drain, place->head, (unsigned char *)place->head);
	place->writer = (struct vmt_writer){.fd = memfd_create("drain", MFD_CLOEXEC),
					    .packed = &place->packed,
					    .compress = compress ? vmt_zstd_compress : NULL,
					    .compress_context = vmt_zstd_packer_new()};
}

/* All but the sequence. */
static void
put(const struct vmt_ring_view *ring, const struct vmt_heap_event *event)
{
	uint64_t position;
	struct vmt_heap_event *slot = vmt_ring_claim(ring, &position);

	if (!slot)
		fail("full");
	slot->stack = event->stack;
	slot->time = event->time;
	slot->address_kind = event->address_kind;
	slot->size_thread = event->size_thread;
	vmt_ring_commit(ring, position);
}

static double
round_ns(struct place *place)
{
	struct vmt_ring_view ring =
	    vmt_head_ring(place->head, (unsigned char *)place->head, 0, VMT_RING_HEAP);
	uint64_t spent = 0;

	place->writer.end_bytes = 0;
	for (size_t at = 0; at < event_count;) {
		uint64_t begin;

		for (uint32_t i = 0; i < CAPACITY && at < event_count; i++)
			put(&ring, &events[at++]);
		begin = cpu_ns();
		if (vmt_drain_collect(&place->drain, &place->writer, &place->scratch, begin,
				      VMT_DRAIN_ALL) != 0)
			fail("drain");
		spent += cpu_ns() - begin;
	}
	return (double)spent / (double)event_count;
}

static int
compare(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return (left > right) - (left < right);
}

int
main(int argc, char **argv)
{
	static struct place places[2];
	double ns[2][ROUNDS_MAX];
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 7;

	if (argc < 2 || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: %s TRACE [ROUNDS]\n", argv[0]);
		return 2;
	}
	load(argv[1]);
	set_up(&places[0], true);
	set_up(&places[1], false);
	for (unsigned i = 0; i < rounds; i++)
		for (unsigned k = 0; k < 2; k++)
			ns[k][i] = round_ns(&places[k]);
	for (unsigned k = 0; k < 2; k++) {
		qsort(ns[k], rounds, sizeof(double), compare);
		printf("%-20s %9zu events %6.1f ns lowest, %6.1f median\n",
		       k == 0 ? "compressed" : "not compressed", event_count, ns[k][0],
		       ns[k][rounds / 2]);
	}
	return 0;
}
