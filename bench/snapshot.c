/*
 * snapshot.c: what does one residency snapshot cost, and what does it make another process wait?
 *
 * Each row is a child with memory of one shape, and the CPU time that this process, in the
 * collector's place, needs for a snapshot of it, of SNAPSHOTS the median and the lowest: maps,
 * encoding and the write into a memory file included. In turn with them one bare PAGEMAP_SCAN of
 * the whole address space is timed: what the kernel's walk costs whoever asks. The first row is a
 * child with nothing of its own. The last rows are a child that maps, touches and unmaps 64 KiB
 * beside a gibibyte of its own: left alone, under snapshots that use 1 % of a CPU as the
 * collector's do, and under snapshots without a pause. They tell the time of one round, less what
 * the child waited for a CPU; a snapshot that has to wait for one while it holds the child's lock
 * is in it. Usage: snapshot [SNAPSHOTS], or
 * snapshot live pages|sparse|mappings SECONDS, to be recorded.
 */
#include "collect/snapshot.h"

#include "base/procfs.h"
#include "base/ticks.h"
#include "collect/pagemap_scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)
#define PAGE_BYTES 4096u
#define MAPPINGS 60000u
#define MAX_SNAPSHOTS 1000
#define RANGE_BYTES (64u * 1024)
#define VICTIM_ROUNDS 50000u
#define VICTIM_NS UINT64_C(20000000000)
#define BUDGET_PART 100u

/* What the victim tells of itself. */
struct told {
	uint64_t rounds;
	uint64_t median_ns;
	uint64_t high_ns; /* 99.99th percentile */
	uint64_t worst_ns;
};

static char *
map(uint64_t bytes, int protection)
{
	char *memory =
	    mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		_exit(1);
	}
	return memory;
}

static void
touch(char *memory, uint64_t bytes, uint64_t step_bytes)
{
	for (uint64_t at = 0; at < bytes; at += step_bytes)
		((volatile char *)memory)[at] = 1;
}

static void
shape_nothing(void)
{
}

static void
shape_small_pages(void)
{
	char *memory = map(GIB, PROT_READ | PROT_WRITE);

	madvise(memory, GIB, MADV_NOHUGEPAGE);
	touch(memory, GIB, PAGE_BYTES);
}

static void
shape_huge_pages(void)
{
	char *memory = map(GIB + 2 * MIB, PROT_READ | PROT_WRITE);

	memory += -(uintptr_t)memory & (2 * MIB - 1);
	madvise(memory, GIB, MADV_HUGEPAGE);
	touch(memory, GIB, PAGE_BYTES);
}

/* Every second page: as many runs as there can be. */
static void
shape_every_second(void)
{
	char *memory = map(GIB, PROT_READ | PROT_WRITE);

	madvise(memory, GIB, MADV_NOHUGEPAGE);
	touch(memory, GIB, (uint64_t)2 * PAGE_BYTES);
}

static void
shape_sparse(void)
{
	char *memory = map(100 * GIB, PROT_READ | PROT_WRITE);

	madvise(memory, 100 * GIB, MADV_NOHUGEPAGE);
	touch(memory, 100 * GIB, 64 * MIB);
}

/* Neighbours of another protection do not merge. */
static void
shape_mappings(void)
{
	char *memory = map((uint64_t)MAPPINGS * PAGE_BYTES, PROT_READ | PROT_WRITE);

	for (uint64_t i = 0; i < MAPPINGS; i += 2)
		mprotect(memory + i * PAGE_BYTES, PAGE_BYTES, PROT_READ);
	for (uint64_t i = 1; i < MAPPINGS; i += 2)
		memory[i * PAGE_BYTES] = 1;
}

static int
by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* How long this process has waited for a CPU; 0 where the kernel does not count it. */
static uint64_t
read_queued_ns(int fd)
{
	char text[128] = "";
	unsigned long long running_ns, queued_ns;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "%llu %llu", &running_ns, &queued_ns) != 2)
		return 0;
	return queued_ns;
}

/* Maps, touches and unmaps; what one round took. */
static struct told
be_victim(void)
{
	static uint64_t took_ns[VICTIM_ROUNDS];
	int schedstat_fd = open("/proc/self/schedstat", O_RDONLY);
	uint64_t begin_ns = vmt_ticks_monotonic_ns();
	uint32_t rounds = 0;

	while (rounds < VICTIM_ROUNDS && vmt_ticks_monotonic_ns() - begin_ns < VICTIM_NS) {
		uint64_t queued_ns = read_queued_ns(schedstat_fd);
		uint64_t start_ns = vmt_ticks_monotonic_ns();
		char *memory = map(RANGE_BYTES, PROT_READ | PROT_WRITE);
		uint64_t round_ns;

		touch(memory, RANGE_BYTES, PAGE_BYTES);
		munmap(memory, RANGE_BYTES);
		round_ns = vmt_ticks_monotonic_ns() - start_ns;
		queued_ns = read_queued_ns(schedstat_fd) - queued_ns;
		took_ns[rounds++] = round_ns > queued_ns ? round_ns - queued_ns : 0;
	}
	qsort(took_ns, rounds, sizeof(took_ns[0]), by_value);
	return (struct told){rounds, took_ns[rounds / 2], took_ns[rounds - 1 - rounds / 10000],
			     took_ns[rounds - 1]};
}

struct child {
	pid_t pid;
	int from; /* a byte once its memory is there; of a victim `struct told` at its end */
	int hold; /* lives while this is open */
};

static struct child
begin_child(void (*shape)(void), bool victim)
{
	int from[2], hold[2];
	struct child child = {0};
	struct told told;
	char byte = 0;

	if (pipe(from) != 0 || pipe(hold) != 0)
		exit(1);
	child.pid = fork();
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(hold[1]);
		shape();
		if (write(from[1], &byte, 1) != 1)
			_exit(1);
		if (victim) {
			told = be_victim();
			_exit(write(from[1], &told, sizeof(told)) != sizeof(told));
		}
		_exit(read(hold[0], &byte, 1) != 0);
	}
	close(from[1]);
	close(hold[0]);
	child.from = from[0];
	child.hold = hold[1];
	if (child.pid < 0 || read(child.from, &byte, 1) != 1)
		exit(1);
	return child;
}

static void
end_child(const struct child *child)
{
	close(child->hold);
	close(child->from);
	waitpid(child->pid, NULL, 0);
}

struct camera {
	struct vmt_snapshot_job job;
	struct vmt_snapshot_scratch scratch;
	struct vmt_writer writer;
	struct vmt_snapshot_head head; /* of the last one */
};

static void
begin_camera(struct camera *camera, const struct child *child)
{
	static unsigned char scratch[VMT_RESIDENCY_SCRATCH_BYTES] __attribute__((aligned(8)));

	memset(camera, 0, sizeof(*camera));
	camera->job = (struct vmt_snapshot_job){
	    .residency = {.source = vmt_residency_choose(0, false).source,
			  .pagemap_fd = vmt_procfs_open((uint32_t)child->pid, "pagemap"),
			  .page_bytes = PAGE_BYTES,
			  .scratch = scratch},
	    .maps_fd = vmt_procfs_open((uint32_t)child->pid, "maps"),
	    .statm_fd = vmt_procfs_open((uint32_t)child->pid, "statm"),
	    .rollup_fd = -1,
	    .reason = VMT_SNAPSHOT_GROWTH,
	    .scratch = &camera->scratch,
	};
	camera->writer.fd = memfd_create("snapshots", MFD_CLOEXEC);
}

static uint64_t
take(struct camera *camera)
{
	uint64_t before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	camera->writer.end_bytes = 0;
	if (vmt_snapshot_take(&camera->job, &camera->writer, &camera->head) != 0)
		return 0;
	return vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
}

/* The kernel's part by itself: the same question, asked of the whole address space at once. */
static uint64_t
scan_bare(const struct camera *camera)
{
	static struct vmt_scan_region regions[1u << 18];
	uint64_t before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	struct vmt_scan_argument scan = {
	    .size = sizeof(scan),
	    .end = (UINT64_C(1) << 47) - PAGE_BYTES,
	    .regions = (uint64_t)(uintptr_t)regions,
	    .region_count = sizeof(regions) / sizeof(regions[0]),
	    .category_any_of = VMT_PAGE_IS_PRESENT | VMT_PAGE_IS_SWAPPED,
	    .return_mask =
		VMT_PAGE_IS_PRESENT | VMT_PAGE_IS_SWAPPED | VMT_PAGE_IS_PFNZERO | VMT_PAGE_IS_HUGE,
	};

	if (ioctl(camera->job.residency.pagemap_fd, VMT_SCAN_REQUEST, &scan) < 0)
		return 0;
	return vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
}

static void
end_camera(struct camera *camera)
{
	close(camera->job.residency.pagemap_fd);
	close(camera->job.maps_fd);
	close(camera->job.statm_fd);
	close(camera->writer.fd);
	vmt_snapshot_release(&camera->scratch);
}

static void
measure_cost(const char *name, void (*shape)(void), int snapshots)
{
	static uint64_t took_ns[MAX_SNAPSHOTS];
	static uint64_t bare_ns[MAX_SNAPSHOTS];
	struct child child = begin_child(shape, false);
	struct camera camera;

	begin_camera(&camera, &child);
	take(&camera); /* its buffers grow once in a collector's life */
	scan_bare(&camera);
	for (int i = 0; i < snapshots; i++) {
		took_ns[i] = take(&camera);
		bare_ns[i] = scan_bare(&camera);
	}
	qsort(took_ns, (size_t)snapshots, sizeof(took_ns[0]), by_value);
	qsort(bare_ns, (size_t)snapshots, sizeof(bare_ns[0]), by_value);
	printf("  %-37s %8.0f us, lowest %6.0f; PAGEMAP_SCAN alone %6.0f, lowest %6.0f  "
	       "%5.2f GiB resident %5.2f huge %6u mappings %7u runs %8.0f KiB\n",
	       name, (double)took_ns[snapshots / 2] / 1e3, (double)took_ns[0] / 1e3,
	       (double)bare_ns[snapshots / 2] / 1e3, (double)bare_ns[0] / 1e3,
	       (double)camera.head.resident_bytes / (double)GIB,
	       (double)camera.head.huge_bytes / (double)GIB, camera.head.mappings, camera.head.runs,
	       (double)camera.writer.end_bytes / 1024);
	fflush(stdout);
	end_camera(&camera);
	end_child(&child);
}

static bool
has_news(int fd)
{
	struct timeval now = {0, 0};
	fd_set wanted;

	FD_ZERO(&wanted);
	FD_SET(fd, &wanted);
	return select(fd + 1, &wanted, NULL, NULL, &now) == 1;
}

/* After a snapshot comes a pause of parts - 1 times its CPU time; 0: no snapshots. */
static void
measure_victim(const char *name, unsigned parts)
{
	struct child child = begin_child(shape_small_pages, true);
	struct camera camera;
	struct told told = {0};
	unsigned snapshots = 0;

	begin_camera(&camera, &child);
	while (parts && !has_news(child.from)) {
		usleep((useconds_t)(take(&camera) * (parts - 1) / 1000));
		snapshots++;
	}
	if (read(child.from, &told, sizeof(told)) != sizeof(told))
		printf("  %s: the child said nothing\n", name);
	printf("  %-34s median %6.1f us  99.99th percentile %7.1f us  worst %8.1f us  "
	       "%llu rounds, %u snapshots\n",
	       name, (double)told.median_ns / 1e3, (double)told.high_ns / 1e3,
	       (double)told.worst_ns / 1e3, (unsigned long long)told.rounds, snapshots);
	fflush(stdout);
	end_camera(&camera);
	end_child(&child);
}

/* Memory of one shape, and 96 MiB that come and go beside it: whoever records this program wants a
 * snapshot every 20 ms. */
static int
live(const char *shape, int seconds)
{
	uint64_t end_ns = vmt_ticks_monotonic_ns() + (uint64_t)seconds * 1000000000;

	if (strcmp(shape, "pages") == 0)
		shape_small_pages();
	else if (strcmp(shape, "sparse") == 0)
		shape_sparse();
	else if (strcmp(shape, "mappings") == 0)
		shape_mappings();
	else
		return 2;
	while (vmt_ticks_monotonic_ns() < end_ns) {
		char *memory = map(96 * MIB, PROT_READ | PROT_WRITE);

		touch(memory, 96 * MIB, PAGE_BYTES);
		usleep(20000);
		munmap(memory, 96 * MIB);
		usleep(20000);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	int snapshots = argc > 1 ? atoi(argv[1]) : 25;

	if (argc == 4 && strcmp(argv[1], "live") == 0)
		return live(argv[2], atoi(argv[3]));
	if (snapshots < 1 || snapshots > MAX_SNAPSHOTS)
		return 2;
	printf("CPU time of one snapshot\n");
	measure_cost("nothing", shape_nothing, snapshots);
	measure_cost("1 GiB in 4 KiB pages", shape_small_pages, snapshots);
	measure_cost("1 GiB, every second page", shape_every_second, snapshots);
	measure_cost("1 GiB in huge pages", shape_huge_pages, snapshots);
	measure_cost("100 GiB reserved, a page in 64 MiB", shape_sparse, snapshots);
	measure_cost("60,000 mappings, every second touched", shape_mappings, snapshots);
	printf("\nmmap, touch, munmap of 64 KiB, wall clock\n");
	measure_victim("left alone", 0);
	measure_victim("under snapshots, 1 % of a CPU", BUDGET_PART);
	measure_victim("under snapshots without a pause", 1);
	return 0;
}
