/*
 * fuzz_go_heap.c: hostile Go processes through all that reads the inside of a Go runtime.
 *
 * The process is an image (process_image.h). Its counters, heap and memory profile are read into a
 * trace, and each chunk is taken apart as the reader of traces does, which must refuse none. What
 * does not change while it is read is read twice, and must say the same. How much is read is
 * bounded. Mutations are those of mutate_process.c.
 */
#include "base/sys.h"
#include "tests/fuzz/process_memory.h"

#include <unistd.h>

static struct process_image image;

/* Stands in for the kernel. */
static long
read_image(long number, long pid, long local, long local_count, long remote, long remote_count)
{
	if (number != SYS_process_vm_readv || pid != (long)getpid() || local_count != 1)
		abort();
	return image_read(&image, (const void *)local, (const void *)remote, (size_t)remote_count);
}

#define vmt_sys_call6(number, a, b, c, d, e, f) read_image(number, a, b, c, d, e)
#include "collect/remote_read.c"
#undef vmt_sys_call6

#include "base/procfs.h"
#include "collect/go_counters.h"
#include "collect/go_heap_reader.h"
#include "collect/go_profile_writer.h"
#include "tests/fuzz/go_heap_objects.h"
#include "tools/read/trace/go_chunk.h"
#include "tools/read/trace/go_heap_chunk.h"
#include "tools/read/trace/go_large_chunk.h"
#include "tools/read/trace/go_profile_chunk.h"

#include <stdio.h>
#include <sys/mman.h>

#define MOST_NS (UINT64_C(1) << 40)
#define MOST_BYTES (UINT64_C(16) << 30)
#define CHUNKS 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vmt_head head;
static struct vmt_buffer scratch;
static int maps_fd = -1;
static unsigned char payload[VMT_CHUNK_MAX_BYTES];

static void
check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_go_heap: %s\n", what);
	abort();
}

static void
fill_head(void)
{
	const char *version =
	    image_versions[image.head.version % (sizeof(image_versions) / sizeof(*image_versions))];

	memset(&head.go, 0, sizeof(head.go));
	memcpy(head.go.version, version, strlen(version));
	for (uint32_t i = 0; i < IMAGE_OBJECTS; i++) {
		struct vmt_go_object *object = &head.go.objects[head.go.objects_count];

		if (!(image.head.objects >> i & 1))
			continue;
		strcpy(object->symbol, image_symbols[i]);
		object->address = image.head.addresses[i];
		object->bytes = i < 2 ? image.head.object_bytes[i] : 24;
		head.go.objects_count++;
	}
}

static void
check_heap(const struct vmt_chunk *chunk)
{
	struct vmt_go_heap heap;
	struct vmt_err err;

	check(vmt_go_heap_chunk_read(&heap, chunk, payload, chunk->payload_bytes, &err) == 0,
	      "a GO_HEAP chunk is refused");
	check(heap.head.spans <= heap.head.spans_known &&
		  heap.head.spans_unread <= heap.head.spans_known - heap.head.spans,
	      "more spans than there are");
	check(heap.head.goroutines <= heap.head.goroutines_known &&
		  heap.head.goroutines_unread <= heap.head.goroutines_known - heap.head.goroutines,
	      "more goroutines than there are");
	vmt_go_heap_chunk_free(&heap);
}

static void
check_large(const struct vmt_chunk *chunk)
{
	struct vmt_go_large_read large;
	struct vmt_err err;

	check(vmt_go_large_chunk_read(&large, chunk, payload, chunk->payload_bytes, &err) == 0,
	      "a GO_LARGE chunk is refused");
	vmt_go_large_chunk_free(&large);
}

static void
check_profile(const struct vmt_chunk *chunk)
{
	struct vmt_go_profile_read profile;
	struct vmt_err err;

	check(vmt_go_profile_chunk_read(&profile, chunk, payload, chunk->payload_bytes, &err) == 0,
	      "a GO_PROFILE chunk is refused");
	check(profile.head.rows <= profile.head.known &&
		  profile.head.unread <= profile.head.known - profile.head.rows,
	      "more buckets than there are");
	vmt_go_profile_chunk_free(&profile);
}

static void
check_counters(const struct vmt_chunk *chunk)
{
	struct vmt_go_chunk_read counters;
	struct vmt_err err;

	check(vmt_go_chunk_read(&counters, payload, chunk->payload_bytes, &err) == 0,
	      "a GO chunk is refused");
}

/* What a chunk says, but for when it was written. */
static uint32_t
weigh(const struct vmt_chunk *chunk)
{
	uint32_t sum = chunk->kind;

	for (uint32_t i = 2 * sizeof(uint64_t); i < chunk->payload_bytes; i++)
		sum = sum * 31 + payload[i];
	return sum;
}

/* Takes each chunk apart; how many there are, and what each weighs. */
static size_t
read_back(const struct vmt_writer *writer, uint32_t *weights)
{
	struct vmt_chunk chunk;
	size_t count = 0;

	for (uint64_t at = 0; at < writer->end_bytes;
	     at += sizeof(chunk) + ((uint64_t)chunk.payload_bytes + 7) / 8 * 8) {
		check(count < CHUNKS && pread(writer->fd, &chunk, sizeof(chunk), (off_t)at) ==
					    (ssize_t)sizeof(chunk),
		      "a chunk is cut");
		check(pread(writer->fd, payload, chunk.payload_bytes,
			    (off_t)(at + sizeof(chunk))) == (ssize_t)chunk.payload_bytes,
		      "a payload is cut");
		if (chunk.kind == VMT_CHUNK_GO_HEAP)
			check_heap(&chunk);
		else if (chunk.kind == VMT_CHUNK_GO_LARGE)
			check_large(&chunk);
		else if (chunk.kind == VMT_CHUNK_GO_PROFILE)
			check_profile(&chunk);
		else
			check_counters(&chunk);
		weights[count++] = weigh(&chunk);
	}
	return count;
}

/* One snapshot's worth. */
static size_t
take(int fd, uint32_t *weights)
{
	uint64_t most_ns = image.head.flags & IMAGE_NO_ALLOWANCE ? 0 : MOST_NS;
	struct vmt_go_heap_cost cost = {0};
	struct vmt_go_profile_state state = {.buckets = 0};
	struct vmt_writer writer = {.fd = fd};
	struct vmt_go_heap_job heap = {.head = &head,
				       .pid = (uint32_t)getpid(),
				       .maps_fd = maps_fd,
				       .most_ns = most_ns,
				       .cost = &cost};
	struct vmt_go_profile_job profile = {.head = &head,
					     .pid = heap.pid,
					     .maps_fd = maps_fd,
					     .most_ns = most_ns,
					     .state = &state};

	image.last = NULL;
	image.pieces_read = image.bytes_read = 0;
	(void)vmt_go_counters_take(&head, heap.pid, maps_fd, 0, &scratch, &writer);
	(void)vmt_go_heap_reader_take(&heap, &writer);
	(void)vmt_go_profile_writer_take(&profile, &writer);
	/* What is as before is not written twice. What a reading cost decides where little is
	 * allowed.
	 */
	if (most_ns != 0)
		(void)vmt_go_profile_writer_take(&profile, &writer);
	check(image.bytes_read <= MOST_BYTES, "no bound to what is read");
	return read_back(&writer, weights);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	uint32_t first[CHUNKS], second[CHUNKS];
	size_t count;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		maps_fd = vmt_procfs_open(0, "maps");
	}
	if (fd < 0 || maps_fd < 0)
		abort();
	image_open(&image, data, size);
	fill_head();
	count = take(fd, first);
	if (image.change_count == 0)
		check(take(fd, second) == count && memcmp(first, second, count * 4) == 0,
		      "what does not change is told differently");
	image_close(&image);
	return 0;
}
