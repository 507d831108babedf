/* The code of an allocator in a program's file: found by its symbols, and nothing else is. */
#include "collect/allocator_scan.h"

#include "tests/unit/trace_fixture.h"

#include "format/allocator_code.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	char path[40];
	struct vmt_buffer packed;
	struct vmt_writer writer;
	struct vmt_allocator_scan_job job;
};

/* This program stands for one with jemalloc in it. */
__attribute__((noinline)) static int
je_pages_map(int value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

static int
set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	strcpy(place->path, "/tmp/vmt-allocator-XXXXXX");
	place->writer.fd = mkstemp(place->path);
	place->writer.packed = &place->packed;
	place->job.exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	place->job.defines_malloc = true;
	*state = place;
	return place->writer.fd >= 0 && place->job.exe_fd >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct place *place = *state;

	close(place->writer.fd);
	close(place->job.exe_fd);
	unlink(place->path);
	vmt_buffer_free(&place->packed);
	free(place);
	return 0;
}

/* Where this program's file is loaded: its first byte is at the bias. */
static uint64_t
load_bias(void)
{
	extern const char __ehdr_start[];

	return (uintptr_t)__ehdr_start;
}

static bool
is_in(const struct vmt_allocator_range *ranges, uint32_t count, uint64_t address)
{
	for (uint32_t i = 0; i < count; i++)
		if (ranges[i].low <= address && address < ranges[i].high)
			return true;
	return false;
}

static void
functions_of_the_allocator_are_in_its_ranges(void **state)
{
	struct place *place = *state;
	const struct vmt_allocator_range *ranges;
	struct vmt_allocator_code head;
	struct fixture_chunks chunks;

	assert_int_equal(je_pages_map(5), 5);
	assert_int_equal(vmt_allocator_scan_take(&place->job, &place->writer), 0);
	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, 1);
	assert_int_equal(chunks.list[0].header->kind, VMT_CHUNK_ALLOCATOR);
	memcpy(&head, chunks.list[0].payload, sizeof(head));
	assert_string_equal(head.name, "jemalloc");
	assert_int_equal(chunks.list[0].header->payload_bytes,
			 sizeof(head) + head.count * sizeof(*ranges));
	ranges = (const void *)(chunks.list[0].payload + sizeof(head));
	assert_true(is_in(ranges, head.count, (uintptr_t)je_pages_map - load_bias()));
	assert_false(is_in(ranges, head.count, (uintptr_t)load_bias - load_bias()));
	fixture_free_chunks(&chunks);
}

static void
other_programs_write_nothing(void **state)
{
	static const char *const others[] = {"/bin/true", "/dev/null", "/proc/self/maps"};
	struct place *place = *state;
	struct stat status;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct vmt_allocator_scan_job job = {.exe_fd =
							 open(others[i], O_RDONLY | O_CLOEXEC)};

		assert_true(job.exe_fd >= 0);
		assert_true(vmt_allocator_scan_take(&job, &place->writer) < 0);
		close(job.exe_fd);
	}
	assert_int_equal(fstat(place->writer.fd, &status), 0);
	assert_int_equal(status.st_size, 0);
}

static void
spoil(int fd, size_t bytes, unsigned seed)
{
	srand(seed);
	for (int i = 0; i < 40; i++) {
		unsigned char byte = (unsigned char)rand();
		/* Half of them where sizes and offsets stand: the head, and the sections' table. */
		size_t at = i % 2   ? (size_t)rand() % bytes
			    : i % 4 ? (size_t)rand() % sizeof(Elf64_Ehdr)
				    : bytes - 1 - (size_t)rand() % 2000;

		assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	}
}

/* Whatever a file claims: an answer or an error, and no byte outside of it is touched. */
static void
damaged_files_are_harmless(void **state)
{
	struct place *place = *state;
	struct stat status;
	char *whole;

	assert_int_equal(fstat(place->job.exe_fd, &status), 0);
	whole = malloc((size_t)status.st_size);
	assert_non_null(whole);
	assert_int_equal(pread(place->job.exe_fd, whole, (size_t)status.st_size, 0),
			 status.st_size);
	for (unsigned seed = 0; seed < 200; seed++) {
		struct vmt_allocator_scan_job job = {
		    .exe_fd = (int)memfd_create("damaged", MFD_CLOEXEC), .defines_malloc = true};
		size_t bytes =
		    seed % 3 ? (size_t)status.st_size : (size_t)status.st_size * seed / 200 + 1;

		assert_int_equal(write(job.exe_fd, whole, bytes), bytes);
		if (seed > 0)
			spoil(job.exe_fd, bytes > 2001 ? bytes : 2001, seed);
		(void)vmt_allocator_scan_take(&job, &place->writer);
		close(job.exe_fd);
	}
	free(whole);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(functions_of_the_allocator_are_in_its_ranges),
	    TEST(other_programs_write_nothing),
	    TEST(damaged_files_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
