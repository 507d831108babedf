/* Every source over ranges whose content is known, and over each other's answers. */
#include "base/procfs.h"
#include "collect/residency.h"

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
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ull
#define MANY 256
#define HUGE (2ull << 20)

static const uint8_t sources[] = {VMT_RESIDENCY_PAGEMAP_SCAN, VMT_RESIDENCY_PAGEMAP,
				  VMT_RESIDENCY_MINCORE};

struct handle {
	struct vmt_residency_reader residency;
	_Alignas(8) unsigned char scratch[VMT_RESIDENCY_SCRATCH_BYTES];
	unsigned pauses;
};

struct found {
	struct vmt_run runs[MANY];
	unsigned count;
	unsigned stop_after;
};

static bool
note_run(void *context, const struct vmt_run *run)
{
	struct found *found = context;

	assert_true(found->count < MANY);
	assert_true(run->bytes > 0);
	if (found->count) {
		const struct vmt_run *last = &found->runs[found->count - 1];

		assert_true(last->start + last->bytes <= run->start);
		assert_false(last->kind == run->kind && last->start + last->bytes == run->start);
	}
	found->runs[found->count++] = *run;
	return found->count != found->stop_after;
}

static void
count_pause(void *context)
{
	(*(unsigned *)context)++;
}

/* False where this kernel does not offer the source. */
static bool
use(struct handle *handle, enum vmt_residency_source source)
{
	if (!vmt_residency_works(source))
		return false;
	handle->pauses = 0;
	handle->residency = (struct vmt_residency_reader){
	    .source = source,
	    .pagemap_fd = source == VMT_RESIDENCY_MINCORE ? -1 : vmt_procfs_open(0, "pagemap"),
	    .page_bytes = PAGE,
	    .zero_frame = vmt_residency_zero_frame(),
	    .scratch = handle->scratch,
	    .pause = count_pause,
	    .pause_context = &handle->pauses,
	};
	return true;
}

static void
scan(struct handle *handle, const volatile void *start, uint64_t bytes, struct found *found)
{
	const struct vmt_residency_sink sink = {note_run, found};
	unsigned stop_after = found->stop_after;

	memset(found, 0, sizeof(*found));
	found->stop_after = stop_after;
	assert_int_equal(vmt_residency_scan(&handle->residency, (uintptr_t)start,
					    (uintptr_t)start + bytes, &sink),
			 0);
	if (handle->residency.pagemap_fd >= 0)
		close(handle->residency.pagemap_fd);
}

static volatile unsigned char *
map(uint64_t bytes, int flags, int fd)
{
	volatile unsigned char *at =
	    mmap(NULL, bytes, PROT_READ | (fd < 0 ? PROT_WRITE : 0), flags, fd, 0);

	assert_true((const volatile void *)at != MAP_FAILED);
	madvise((void *)(uintptr_t)at, bytes, MADV_NOHUGEPAGE);
	return at;
}

static struct handle *
new_handle(void)
{
	struct handle *handle =
	    aligned_alloc(64, sizeof(struct handle) + 64 - sizeof(struct handle) % 64);

	assert_non_null(handle);
	return handle;
}

/* Guard pages, and pages under userfaultfd's write protection that are not there, look like swapped
 * ones; the kernel counts none of them in swap. */
static void
markers_are_no_pages(void **state)
{
	volatile unsigned char *at = map(16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct handle *handle = new_handle();

	(void)state;
	for (size_t i = 0; i < 16; i++)
		at[i * PAGE] = 1;
	if (madvise((void *)(uintptr_t)(at + 4 * PAGE), 4 * PAGE, 102) != 0) {
		print_message("skip: this kernel has no MADV_GUARD_INSTALL\n");
		free(handle);
		skip();
	}
	for (size_t i = 0; i < 2; i++) {
		for (int way = 0; way < 2; way++) {
			struct found found = {0};

			if (!use(handle, (enum vmt_residency_source)sources[i]))
				continue;
			handle->residency.nothing_swapped = way == 0;
			handle->residency.knows_guards =
			    vmt_residency_choose(0, false).knows_guards;
			scan(handle, at, 16 * PAGE, &found);
			assert_int_equal(found.count, 2);
			assert_int_equal(found.runs[0].bytes, 4 * PAGE);
			assert_int_equal(found.runs[1].bytes, 8 * PAGE);
			assert_true(found.runs[0].kind & VMT_RUN_PRESENT);
		}
	}
	munmap((void *)(uintptr_t)at, 16 * PAGE);
	free(handle);
}

static void
at_least_two_sources_work(void **state)
{
	(void)state;
	assert_true(vmt_residency_works(VMT_RESIDENCY_MINCORE));
	assert_true(vmt_residency_works(VMT_RESIDENCY_PAGEMAP));
	assert_false(vmt_residency_works(VMT_RESIDENCY_NONE));
}

static void
untouched_memory_has_no_runs(void **state)
{
	struct handle *handle = new_handle();
	volatile unsigned char *at = map(64 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct found found = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof(sources); i++) {
		if (!use(handle, sources[i]))
			continue;
		scan(handle, at, 64 * PAGE, &found);
		assert_int_equal(found.count, 0);
	}
	munmap((void *)(uintptr_t)at, 64 * PAGE);
	free(handle);
}

static void
touched_pages_are_found_page_by_page(void **state)
{
	struct handle *handle = new_handle();
	volatile unsigned char *at = map(64 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct found found = {0};

	(void)state;
	for (unsigned i = 0; i < 64; i += 2)
		at[i * PAGE] = 1;
	at[33 * PAGE] = 1; /* joins 32 and 34 */
	for (unsigned i = 0; i < sizeof(sources); i++) {
		if (!use(handle, sources[i]))
			continue;
		scan(handle, at, 64 * PAGE, &found);
		assert_int_equal(found.count, 31);
		for (unsigned j = 0; j < found.count; j++) {
			assert_int_equal(found.runs[j].kind, VMT_RUN_PRESENT);
			assert_int_equal(found.runs[j].start - (uintptr_t)at,
					 (j <= 16 ? j * 2 : (j + 1) * 2) * PAGE);
			assert_int_equal(found.runs[j].bytes, (j == 16 ? 3 : 1) * PAGE);
		}
		assert_true(handle->pauses >= 1);
	}
	munmap((void *)(uintptr_t)at, 64 * PAGE);
	free(handle);
}

/* Pages that were only read show the zero page: PAGEMAP_SCAN tells, PAGEMAP where frame numbers are
 * shown, MINCORE never. */
static void
read_pages_are_the_zero_page(void **state)
{
	struct handle *handle = new_handle();
	volatile unsigned char *at = map(8 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct found found = {0};

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		(void)at[i * PAGE];
	at[4 * PAGE] = 1;
	for (unsigned i = 0; i < sizeof(sources); i++) {
		bool tells = sources[i] == VMT_RESIDENCY_PAGEMAP_SCAN ||
			     (sources[i] == VMT_RESIDENCY_PAGEMAP && vmt_residency_zero_frame());

		if (!use(handle, sources[i]))
			continue;
		scan(handle, at, 8 * PAGE, &found);
		assert_int_equal(found.count, tells ? 2 : 1);
		assert_int_equal(found.runs[0].bytes, (tells ? 4 : 5) * PAGE);
		assert_int_equal(found.runs[0].kind, VMT_RUN_PRESENT | (tells ? VMT_RUN_ZERO : 0));
		if (tells)
			assert_int_equal(found.runs[1].kind, VMT_RUN_PRESENT);
	}
	munmap((void *)(uintptr_t)at, 8 * PAGE);
	free(handle);
}

static uint64_t
bytes_of(const struct found *found, uint32_t kind)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < found->count; i++)
		sum += (found->runs[i].kind & kind) == kind ? found->runs[i].bytes : 0;
	return sum;
}

/* Another process with the same pages: what this one writes to is its own. */
static void
pages_of_others_are_told_where_asked(void **state)
{
	struct handle *handle = new_handle();
	volatile unsigned char *at = map(64 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct found found = {0};
	int line[2];
	pid_t child;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		at[i * PAGE] = 1;
	assert_int_equal(pipe(line), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char byte;

		close(line[1]);
		_exit((int)read(line[0], &byte, 1));
	}
	for (unsigned i = 16; i < 40; i++)
		at[i * PAGE] = 2;
	for (unsigned i = 0; i < 2 * sizeof(sources); i++) {
		enum vmt_residency_source source = sources[i / 2];
		bool asked = i % 2 == 1;
		bool knows = source == VMT_RESIDENCY_PAGEMAP ||
			     (source == VMT_RESIDENCY_PAGEMAP_SCAN && asked);

		if (!use(handle, source))
			continue;
		handle->residency.shares = asked;
		assert_int_equal(vmt_residency_knows_shares(&handle->residency), knows);
		scan(handle, at, 64 * PAGE, &found);
		assert_int_equal(found.count, knows ? 3 : 1);
		assert_int_equal(bytes_of(&found, VMT_RUN_PRESENT), 64 * PAGE);
		assert_int_equal(bytes_of(&found, VMT_RUN_SHARED), knows ? 40 * PAGE : 0);
	}
	close(line[1]);
	close(line[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	munmap((void *)(uintptr_t)at, 64 * PAGE);
	free(handle);
}

/* A figure that smaps gives for the mapping that holds `at`. */
static uint64_t
smaps_bytes(const volatile void *at, const char *format)
{
	char line[512];
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long start, end, kib = 0;
	bool inside = false;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (uintptr_t)at && (uintptr_t)at < end;
		else if (inside && sscanf(line, format, &kib) == 1)
			break;
	}
	fclose(file);
	return kib * 1024ull;
}

/* A file of which this process has mapped in a part; all of it is in the page cache. The kernel
 * maps some pages around those asked for, so smaps says how many. */
static void
half_read_files_count_by_half(void **state)
{
	struct handle *handle = new_handle();
	char path[] = "/tmp/vmt-residency-XXXXXX";
	int fd = mkstemp(path);
	unsigned char page[PAGE] = {1};
	volatile unsigned char *at;
	struct found found = {0};
	uint64_t mapped_bytes;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	at = map(256 * PAGE, MAP_SHARED, fd);
	(void)at[0];
	(void)at[128 * PAGE];
	mapped_bytes = smaps_bytes(at, "Rss: %lu kB");
	assert_in_range(mapped_bytes, 2 * PAGE, 255 * PAGE);
	for (unsigned i = 0; i < sizeof(sources); i++) {
		if (!use(handle, sources[i]))
			continue;
		scan(handle, at, 256 * PAGE, &found);
		if (sources[i] == VMT_RESIDENCY_MINCORE) {
			assert_int_equal(bytes_of(&found, VMT_RUN_PRESENT), 256 * PAGE);
			continue;
		}
		assert_int_equal(bytes_of(&found, VMT_RUN_PRESENT | VMT_RUN_FILE), mapped_bytes);
		assert_int_equal(bytes_of(&found, VMT_RUN_PRESENT), mapped_bytes);
	}
	munmap((void *)(uintptr_t)at, 256 * PAGE);
	close(fd);
	unlink(path);
	free(handle);
}

/* What the mapping has told already need not be asked of each page. */
static void
hints_answer_as_the_kernel_does(void **state)
{
	struct handle *handle = new_handle();
	volatile unsigned char *own = map(8 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	volatile unsigned char *shared = map(8 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
	struct found asked = {0}, hinted = {0};

	(void)state;
	if (!vmt_residency_works(VMT_RESIDENCY_PAGEMAP_SCAN))
		skip();
	own[0] = shared[0] = shared[5 * PAGE] = 1;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(use(handle, VMT_RESIDENCY_PAGEMAP_SCAN));
		scan(handle, i ? shared : own, 8 * PAGE, &asked);
		assert_true(use(handle, VMT_RESIDENCY_PAGEMAP_SCAN));
		handle->residency.files = i ? VMT_RESIDENCY_FILES_ALL : VMT_RESIDENCY_FILES_NONE;
		scan(handle, i ? shared : own, 8 * PAGE, &hinted);
		assert_int_equal(asked.count, i ? 2 : 1);
		assert_memory_equal(&asked, &hinted, sizeof(asked));
	}
	munmap((void *)(uintptr_t)own, 8 * PAGE);
	munmap((void *)(uintptr_t)shared, 8 * PAGE);
	free(handle);
}

static void
huge_pages_are_told_by_the_scan(void **state)
{
	struct handle *handle = new_handle();
	volatile unsigned char *mapped = map(4 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uintptr_t at = ((uintptr_t)mapped + HUGE - 1) & ~(HUGE - 1);
	struct found found = {0};
	uint64_t huge_bytes;

	(void)state;
	madvise((void *)at, 2 * HUGE, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < 2 * HUGE; i += PAGE)
		((volatile unsigned char *)at)[i] = 1;
	huge_bytes = smaps_bytes((void *)at, "AnonHugePages: %lu kB");
	for (unsigned i = 0; i < sizeof(sources); i++) {
		if (!use(handle, sources[i]))
			continue;
		scan(handle, (void *)at, 2 * HUGE, &found);
		assert_int_equal(bytes_of(&found, VMT_RUN_PRESENT), 2 * HUGE);
		assert_int_equal(bytes_of(&found, VMT_RUN_HUGE),
				 sources[i] == VMT_RESIDENCY_PAGEMAP_SCAN ? huge_bytes : 0);
	}
	munmap((void *)(uintptr_t)mapped, 4 * HUGE);
	free(handle);
}

/* More than one slice of either kind, and a large empty reservation. */
static void
slices_join_without_a_seam(void **state)
{
	const uint64_t bytes = UINT64_C(600) << 20, touched = UINT64_C(5) << 20;
	struct handle *handle = new_handle();
	volatile unsigned char *at = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	uint64_t from = (UINT64_C(256) << 20) - touched / 2;
	struct found found = {0};

	(void)state;
	for (uint64_t i = 0; i < touched; i += PAGE)
		at[from + i] = 1;
	for (unsigned i = 0; i < sizeof(sources); i++) {
		if (!use(handle, sources[i]))
			continue;
		scan(handle, at, bytes, &found);
		assert_int_equal(found.count, 1);
		assert_int_equal(found.runs[0].start - (uintptr_t)at, from);
		assert_int_equal(found.runs[0].bytes, touched);
	}
	munmap((void *)(uintptr_t)at, bytes);
	free(handle);
}

static void
a_sink_can_stop_the_scan(void **state)
{
	struct handle *handle = new_handle();
	volatile unsigned char *at = map(64 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct found found = {.stop_after = 3};

	(void)state;
	for (unsigned i = 0; i < 64; i += 2)
		at[i * PAGE] = 1;
	for (unsigned i = 0; i < sizeof(sources); i++) {
		if (!use(handle, sources[i]))
			continue;
		scan(handle, at, 64 * PAGE, &found);
		assert_int_equal(found.count, 3);
	}
	munmap((void *)(uintptr_t)at, 64 * PAGE);
	free(handle);
}

static void
choice_follows_purpose_and_wish(void **state)
{
	(void)state;
	assert_int_equal(vmt_residency_choose(VMT_RESIDENCY_PAGEMAP, false).source,
			 VMT_RESIDENCY_PAGEMAP);
	assert_int_equal(vmt_residency_choose(VMT_RESIDENCY_MINCORE, true).source,
			 VMT_RESIDENCY_MINCORE);
	assert_int_not_equal(vmt_residency_choose(VMT_RESIDENCY_MINCORE, false).source,
			     VMT_RESIDENCY_MINCORE);
	if (vmt_residency_works(VMT_RESIDENCY_PAGEMAP_SCAN))
		assert_int_equal(vmt_residency_choose(0, false).source, VMT_RESIDENCY_PAGEMAP_SCAN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(at_least_two_sources_work),
	    cmocka_unit_test(untouched_memory_has_no_runs),
	    cmocka_unit_test(touched_pages_are_found_page_by_page),
	    cmocka_unit_test(read_pages_are_the_zero_page),
	    cmocka_unit_test(markers_are_no_pages),
	    cmocka_unit_test(pages_of_others_are_told_where_asked),
	    cmocka_unit_test(half_read_files_count_by_half),
	    cmocka_unit_test(hints_answer_as_the_kernel_does),
	    cmocka_unit_test(huge_pages_are_told_by_the_scan),
	    cmocka_unit_test(slices_join_without_a_seam),
	    cmocka_unit_test(a_sink_can_stop_the_scan),
	    cmocka_unit_test(choice_follows_purpose_and_wish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
