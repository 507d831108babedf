#include "tests/sanitized.h"
#include "tests/unit/trace_fixture.h"

#include "collect/kernel_counters.h"
#include "collect/snapshot.h"
#include "format/codec.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define PAGE 4096u

struct place {
	char path[32];
	struct vmt_buffer packed;
	struct vmt_writer writer;
	struct vmt_snapshot_scratch scratch;
	struct vmt_snapshot_job job;
	unsigned char residency_scratch[VMT_RESIDENCY_SCRATCH_BYTES] __attribute__((aligned(8)));
};

static void
close_job(struct vmt_snapshot_job *job)
{
	close(job->maps_fd);
	close(job->statm_fd);
	close(job->residency.pagemap_fd);
	if (job->rollup_fd >= 0)
		close(job->rollup_fd);
}

/* A snapshot of a process (0 = this one). */
static void
open_job(struct place *place, uint32_t pid)
{
	place->job = (struct vmt_snapshot_job){
	    .residency = {.source = vmt_residency_choose(0, false).source,
			  .pagemap_fd = vmt_procfs_open(pid, "pagemap"),
			  .page_bytes = PAGE,
			  .zero_frame = vmt_residency_zero_frame(),
			  .scratch = place->residency_scratch},
	    .maps_fd = vmt_procfs_open(pid, "maps"),
	    .statm_fd = vmt_procfs_open(pid, "statm"),
	    .pid = pid,
	    .rollup_fd = vmt_procfs_open(pid, "smaps_rollup"),
	    .reason = VMT_SNAPSHOT_REQUEST,
	    .scratch = &place->scratch,
	};
}

static int
set_up(void **state)
{
	struct place *place = aligned_alloc(64, (sizeof(*place) + 63) & ~(size_t)63);

	assert_non_null(place);
	memset(place, 0, sizeof(*place));
	strcpy(place->path, "/tmp/vmt-snapshot-XXXXXX");
	place->writer.fd = mkstemp(place->path);
	place->writer.packed = &place->packed;
	*state = place;
	return place->writer.fd >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct place *place = *state;

	vmt_snapshot_release(&place->scratch);
	close(place->writer.fd);
	unlink(place->path);
	free(place);
	return 0;
}

/* A child that holds some memory and is stopped: it faults no page in while it is looked at. */
struct still {
	pid_t pid;
	uint64_t address; /* 100 pages, every second one touched */
};

static void
begin_still(struct still *still)
{
	unsigned char *guarded =
	    mmap(NULL, 102 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile unsigned char *memory = guarded + PAGE;
	int status;

	assert_true(guarded != MAP_FAILED);
	/* With neighbours of another protection it stays a mapping of its own. */
	assert_int_equal(mprotect(guarded + PAGE, 100 * PAGE, PROT_READ | PROT_WRITE), 0);
	still->pid = fork();
	if (still->pid == 0) {
		for (unsigned i = 0; i < 100; i += 2)
			memory[i * PAGE] = 1;
		raise(SIGSTOP);
		_exit(1);
	}
	still->address = (uintptr_t)memory;
	assert_int_equal(waitpid(still->pid, &status, WUNTRACED), still->pid);
	assert_true(WIFSTOPPED(status));
	munmap(guarded, 102 * PAGE);
}

static void
end_still(struct still *still)
{
	assert_int_equal(kill(still->pid, SIGKILL), 0);
	assert_int_equal(waitpid(still->pid, NULL, 0), still->pid);
}

struct sums {
	uint64_t resident_bytes;
	uint64_t in_range_bytes;
	uint32_t in_range_runs;
	uint32_t mappings;
	uint32_t runs;
};

static void
add_run(struct sums *sums, const struct vmt_run *run, uint64_t from, uint64_t to)
{
	if (!(run->kind & VMT_RUN_PRESENT) || (run->kind & VMT_RUN_ZERO))
		return;
	sums->resident_bytes += run->bytes;
	if (run->start >= from && run->start < to) {
		sums->in_range_bytes += run->bytes;
		sums->in_range_runs++;
	}
}

/* Decodes the last chunk of the file; [from, to) is looked at more closely. */
static void
decode(struct place *place, struct vmt_snapshot_head *head, uint16_t *flags, struct sums *sums,
       uint64_t from, uint64_t to)
{
	struct fixture_chunks chunks;
	const struct fixture_chunk *last;
	struct vmt_decoder decoder;
	struct vmt_mapping mapping;
	struct vmt_run run;
	uint32_t runs;
	uint64_t end = 0;

	fixture_read_chunks(&chunks, place->path, 0);
	assert_true(chunks.count > 0);
	last = &chunks.list[chunks.count - 1];
	memcpy(head, last->payload, sizeof(*head));
	*flags = last->header->flags;
	memset(sums, 0, sizeof(*sums));
	vmt_codec_begin_decode(&decoder, last->payload + sizeof(*head),
			       last->header->payload_bytes - sizeof(*head));
	while (decoder.at < decoder.end) {
		assert_true(vmt_codec_get_mapping(&decoder, &mapping, &runs));
		assert_true(mapping.start >= end && mapping.end > mapping.start);
		end = mapping.start;
		sums->mappings++;
		sums->runs += runs;
		while (runs--) {
			assert_true(vmt_codec_get_run(&decoder, &run));
			assert_true(run.start >= end && run.start + run.bytes <= mapping.end);
			end = run.start + run.bytes;
			add_run(sums, &run, from, to);
		}
		end = mapping.end;
	}
	fixture_free_chunks(&chunks);
}

/* The child stands still: its status says the same again. */
static void
compare_status(const struct vmt_kernel_figures *kernel, uint32_t pid)
{
	struct vmt_procfs_status status;
	int fd = vmt_procfs_open(pid, "status");
	uint64_t error_pages;

	assert_true(vmt_procfs_read_status(fd, &status));
	close(fd);
	error_pages = vmt_kernel_counters_own_error_pages(status.threads);
	assert_int_equal(kernel->anonymous_bytes, status.anonymous_bytes);
	assert_int_equal(kernel->file_bytes, status.file_bytes);
	assert_int_equal(kernel->shared_memory_bytes, status.shared_memory_bytes);
	assert_int_equal(kernel->page_table_bytes, status.page_table_bytes);
	assert_int_equal(kernel->locked_bytes, status.locked_bytes);
	assert_int_equal(kernel->rss_error_bytes, error_pages * PAGE);
}

static void
equals_what_smaps_says(void **state)
{
	struct place *place = *state;
	struct vmt_snapshot_head head, written;
	struct vmt_procfs_rollup rollup;
	struct vmt_procfs_statm statm;
	struct still still;
	struct sums sums;
	uint16_t flags;

	begin_still(&still);
	open_job(place, (uint32_t)still.pid);
	assert_int_equal(vmt_snapshot_take(&place->job, &place->writer, &head), 0);
	assert_true(vmt_procfs_read_rollup(place->job.rollup_fd, &rollup));
	assert_true(vmt_procfs_read_statm(place->job.statm_fd, &statm));
	decode(place, &written, &flags, &sums, still.address, still.address + 100 * PAGE);
	assert_memory_equal(&head, &written, sizeof(head));
	assert_int_equal(flags, 0);
	assert_int_equal(sums.resident_bytes, head.resident_bytes);
	assert_int_equal(sums.mappings, head.mappings);
	assert_int_equal(sums.runs, head.runs);
	if (head.source == VMT_RESIDENCY_PAGEMAP_SCAN)
		assert_int_equal(head.resident_bytes, rollup.rss_bytes);
	assert_int_equal(head.rss_before_bytes, rollup.rss_bytes);
	assert_int_equal(head.rss_after_bytes, rollup.rss_bytes);
	assert_int_equal(head.virtual_bytes, statm.virtual_pages * PAGE);
	assert_int_equal(head.lazyfree_bytes, rollup.lazyfree_bytes);
	assert_int_equal(head.kernel.private_bytes + head.kernel.shared_bytes, rollup.rss_bytes);
	/* Others that map the same files come and go: their share changes between two readings. */
	assert_in_range(head.kernel.proportional_bytes, head.kernel.private_bytes,
			rollup.rss_bytes);
	assert_int_equal(head.kernel.anonymous_huge_bytes, rollup.anonymous_huge_bytes);
	compare_status(&head.kernel, (uint32_t)still.pid);
	assert_int_equal(sums.in_range_bytes, 50 * PAGE);
	assert_int_equal(sums.in_range_runs, 50);
	assert_int_equal(head.reason, VMT_SNAPSHOT_REQUEST);
	close_job(&place->job);
	end_still(&still);
}

#define PIECES 150u
#define PIECE_PAGES 4u

/* Own memory: pieces of two protections in turn, a hole instead of each seventh. The first and the
 * last page of a piece are touched, so that runs go over from one mapping to the next. */
static uint64_t
make_pieces(void)
{
	uint64_t piece_bytes = (uint64_t)PIECE_PAGES * PAGE;
	unsigned char *base = mmap(NULL, PIECES * piece_bytes, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(base != MAP_FAILED);
	for (unsigned i = 0; i < PIECES; i++) {
		unsigned char *piece = base + i * piece_bytes;

		piece[0] = piece[(PIECE_PAGES - 1) * PAGE] = 1;
		if (i % 7 == 6)
			assert_int_equal(munmap(piece, piece_bytes), 0);
		else if (i % 2)
			assert_int_equal(mprotect(piece, piece_bytes, PROT_READ), 0);
	}
	return (uintptr_t)base;
}

/* Each of many mappings that are scanned by one call has its own runs, and holes have none. */
static void
neighbours_keep_their_own_pages(void **state)
{
	struct place *place = *state;
	uint64_t piece_bytes = (uint64_t)PIECE_PAGES * PAGE;
	uint64_t base = make_pieces();
	struct vmt_snapshot_head head;
	struct sums sums;
	uint16_t flags;

	open_job(place, 0);
	assert_int_equal(vmt_snapshot_take(&place->job, &place->writer, &head), 0);
	for (unsigned i = 0; i < PIECES; i++) {
		uint64_t start = base + i * piece_bytes;

		decode(place, &head, &flags, &sums, start, start + piece_bytes);
		assert_int_equal(sums.in_range_bytes, i % 7 == 6 ? 0 : 2 * PAGE);
		assert_int_equal(sums.in_range_runs, i % 7 == 6 ? 0 : 2);
	}
	assert_int_equal(flags, 0);
	assert_int_equal(sums.mappings, head.mappings);
	assert_int_equal(sums.resident_bytes, head.resident_bytes);
	close_job(&place->job);
	munmap((void *)(uintptr_t)base, PIECES * piece_bytes);
}

/* The two sources that can look at another process give one sum where frames are shown. One of them
 * reads a word for each page that is mapped, and ASan maps terabytes. */
static void
sources_agree(void **state)
{
	struct place *place = *state;
	struct vmt_snapshot_head scan, read;
	struct still still;

	if (SANITIZED || !vmt_residency_works(VMT_RESIDENCY_PAGEMAP_SCAN) ||
	    !vmt_residency_zero_frame())
		skip();
	begin_still(&still);
	open_job(place, (uint32_t)still.pid);
	place->job.residency.source = VMT_RESIDENCY_PAGEMAP_SCAN;
	assert_int_equal(vmt_snapshot_take(&place->job, &place->writer, &scan), 0);
	place->job.residency.source = VMT_RESIDENCY_PAGEMAP;
	assert_int_equal(vmt_snapshot_take(&place->job, &place->writer, &read), 0);
	assert_int_equal(scan.resident_bytes, read.resident_bytes);
	assert_int_equal(scan.swap_bytes, read.swap_bytes);
	assert_int_equal(scan.mappings, read.mappings);
	assert_int_equal(read.source, VMT_RESIDENCY_PAGEMAP);
	close_job(&place->job);
	end_still(&still);
}

/* Too many runs: kinds and sums stay right, places do not, and the chunk says so. */
static void
what_does_not_fit_is_packed_with_its_sums(void **state)
{
	struct place *place = *state;
	struct vmt_snapshot_head fine, coarse;
	struct still still;
	struct sums sums;
	uint16_t flags;

	begin_still(&still);
	open_job(place, (uint32_t)still.pid);
	assert_int_equal(vmt_snapshot_take(&place->job, &place->writer, &fine), 0);
	place->job.max_runs = 40;
	assert_int_equal(vmt_snapshot_take(&place->job, &place->writer, &coarse), 0);
	decode(place, &coarse, &flags, &sums, still.address, still.address + 100 * PAGE);
	assert_int_equal(flags, VMT_CHUNK_COARSE);
	assert_int_equal(coarse.resident_bytes, fine.resident_bytes);
	assert_int_equal(sums.resident_bytes, fine.resident_bytes);
	assert_int_equal(sums.in_range_bytes, 50 * PAGE);
	assert_int_equal(sums.in_range_runs, 1);
	assert_true(coarse.runs < fine.runs);
	close_job(&place->job);
	end_still(&still);
}

static void
without_a_source_the_mappings_are_there_still(void **state)
{
	struct place *place = *state;
	struct vmt_snapshot_head head;
	struct still still;

	begin_still(&still);
	open_job(place, (uint32_t)still.pid);
	place->job.residency.source = VMT_RESIDENCY_NONE;
	assert_int_equal(vmt_snapshot_take(&place->job, &place->writer, &head), 0);
	assert_true(head.mappings > 5);
	assert_int_equal(head.resident_bytes, 0);
	/* Where overcommit is forbidden, what is reserved for a small process is taken from all. */
	assert_in_range(place->scratch.payload.capacity, 1, SANITIZED ? 64 << 20 : 8 << 20);
	assert_true(head.rss_before_bytes > 0);
	close_job(&place->job);
	end_still(&still);
}

static void
a_process_that_is_gone_gives_none(void **state)
{
	struct place *place = *state;
	struct vmt_snapshot_head head;
	struct still still;

	begin_still(&still);
	open_job(place, (uint32_t)still.pid);
	end_still(&still);
	assert_int_equal(vmt_snapshot_take(&place->job, &place->writer, &head), -ESRCH);
	assert_int_equal(place->writer.end_bytes, 0);
	close_job(&place->job);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(equals_what_smaps_says),
	    TEST(neighbours_keep_their_own_pages),
	    TEST(sources_agree),
	    TEST(what_does_not_fit_is_packed_with_its_sums),
	    TEST(without_a_source_the_mappings_are_there_still),
	    TEST(a_process_that_is_gone_gives_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
