/*
 * dump_go_heap.c: an input of fuzz_go_heap.c out of a Go process.
 *
 * dump_go_heap TRACE PID FILE reads what the head of the trace names in the process, which must not
 * move meanwhile, and writes the memory that was looked at. `vmtrace snapshot PID` makes such a
 * trace.
 */
#include "base/sys.h"
#include "tests/fuzz/process_image.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static struct read_bytes {
	uint64_t address;
	uint64_t bytes;
} reads[65536];
static size_t read_count;
static bool all_noted;

/* Asks the kernel, and notes what was there. */
static long
note_read(long number, long pid, long local, long local_count, long remote, long remote_count)
{
	const struct iovec *pieces = (const void *)remote;
	long got = vmt_sys_call6(number, pid, local, local_count, remote, remote_count, 0);
	size_t left = got < 0 ? 0 : (size_t)got;

	for (long i = 0; i < remote_count && left != 0 && !all_noted; i++) {
		size_t bytes = pieces[i].iov_len < left ? pieces[i].iov_len : left;

		if (read_count == sizeof(reads) / sizeof(*reads))
			abort();
		reads[read_count++] = (struct read_bytes){(uintptr_t)pieces[i].iov_base, bytes};
		left -= bytes;
	}
	return got;
}

#define vmt_sys_call6(number, a, b, c, d, e, f) note_read(number, a, b, c, d, e)
#include "collect/remote_read.c"
#undef vmt_sys_call6

#include "base/procfs.h"
#include "collect/go_counters.h"
#include "collect/go_heap_reader.h"
#include "collect/go_profile_writer.h"
#include "tests/fuzz/go_heap_objects.h"

#include <sys/mman.h>

#define ZEROS_LEAST 64u /* that become a region of their own */

static unsigned char memory[IMAGE_MOST_BYTES];
static FILE *out;
static uint16_t region_count;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
put(const void *bytes, size_t count)
{
	if (fwrite(bytes, 1, count, out) != count)
		fail("dump_go_heap: write");
}

static void
put_region(uint64_t address, const unsigned char *bytes, uint32_t count, uint32_t times)
{
	struct image_region region = {
	    .address = address, .bytes = count, .times = times, .grows = UINT32_MAX};

	put(&region, sizeof(region));
	put(bytes, count);
	put((const char[8]){0}, -count & 7u);
	region_count++;
}

static uint32_t
zeros_at(const unsigned char *bytes, uint32_t count)
{
	uint32_t zeros = 0;

	while (zeros < count && bytes[zeros] == 0)
		zeros++;
	return zeros < ZEROS_LEAST && zeros < count ? 0 : zeros & ~7u;
}

/* Memory that was looked at; long runs of zeros as one word. */
static void
put_memory(uint64_t address, const unsigned char *bytes, uint32_t count)
{
	uint32_t from = 0;

	for (uint32_t i = 0; i < count;) {
		uint32_t zeros = zeros_at(bytes + i, count - i);

		if (zeros == 0) {
			i++;
			continue;
		}
		if (i != from)
			put_region(address + from, bytes + from, i - from, 1);
		put_region(address + i, bytes + i, 8, zeros / 8);
		i += zeros;
		from = i;
	}
	if (from != count)
		put_region(address + from, bytes + from, count - from, 1);
}

static int
compare(const void *left, const void *right)
{
	const struct read_bytes *a = left;
	const struct read_bytes *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

/* Each stretch that was read, once. */
static void
put_all(uint32_t pid)
{
	size_t next;

	all_noted = true;
	qsort(reads, read_count, sizeof(*reads), compare);
	for (size_t i = 0; i < read_count; i = next) {
		uint64_t end = reads[i].address + reads[i].bytes;

		for (next = i + 1; next < read_count && reads[next].address <= end; next++)
			if (reads[next].address + reads[next].bytes > end)
				end = reads[next].address + reads[next].bytes;
		if (end - reads[i].address > sizeof(memory) ||
		    vmt_remote_read(pid, reads[i].address, memory, end - reads[i].address) < 0)
			fail("dump_go_heap: memory");
		put_memory(reads[i].address, memory, (uint32_t)(end - reads[i].address));
	}
}

static void
read_process(const struct vmt_head *head, uint32_t pid)
{
	struct vmt_go_heap_cost cost = {0};
	struct vmt_go_profile_state state = {.buckets = 0};
	struct vmt_writer writer = {.fd = memfd_create("dump", MFD_CLOEXEC)};
	struct vmt_buffer scratch = {0};
	int maps_fd = vmt_procfs_open(pid, "maps");
	struct vmt_go_heap_job heap = {
	    .head = head, .pid = pid, .maps_fd = maps_fd, .most_ns = 1u << 30, .cost = &cost};
	struct vmt_go_profile_job profile = {
	    .head = head, .pid = pid, .maps_fd = maps_fd, .most_ns = 1u << 30, .state = &state};

	if (vmt_go_counters_take(head, pid, maps_fd, 0, &scratch, &writer) < 0 ||
	    vmt_go_heap_reader_take(&heap, &writer) < 0 ||
	    vmt_go_profile_writer_take(&profile, &writer) < 0)
		fail("dump_go_heap: the process");
}

static struct image_head
describe(const struct vmt_go *go)
{
	struct image_head image = {.regions = 0};

	for (uint32_t i = 0; i < go->objects_count && i < VMT_GO_OBJECTS; i++)
		for (uint32_t k = 0; k < IMAGE_OBJECTS; k++) {
			if (strcmp(go->objects[i].symbol, image_symbols[k]) != 0)
				continue;
			image.objects |= (uint16_t)(1u << k);
			image.addresses[k] = go->objects[i].address;
			if (k < 2)
				image.object_bytes[k] = (uint32_t)go->objects[i].bytes;
		}
	for (uint8_t i = 0; i < sizeof(image_versions) / sizeof(*image_versions); i++)
		if (strncmp(image_versions[i], go->version,
			    strcspn(image_versions[i] + 4, ".") + 4) == 0)
			image.version = i;
	return image;
}

int
main(int argc, char **argv)
{
	static struct vmt_head head;
	struct image_head image;
	uint32_t pid;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: dump_go_heap TRACE PID FILE\n");
		return 1;
	}
	pid = (uint32_t)atoi(argv[2]);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	out = fopen(argv[3], "w");
	if (fd < 0 || !out || read(fd, &head, sizeof(head)) != (ssize_t)sizeof(head))
		fail("dump_go_heap");
	close(fd);
	image = describe(&head.go);
	put(&image, sizeof(image));
	read_process(&head, pid);
	put_all(pid);
	image.regions = region_count;
	rewind(out);
	put(&image, sizeof(image));
	if (fclose(out) != 0)
		fail("dump_go_heap: write");
	printf("%zu pieces, %u regions\n", read_count, region_count);
	return 0;
}
