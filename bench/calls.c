/*
 * calls.c: what does each kind of memory call cost, bare and under the library?
 *
 * Usage: calls BUILD ROUNDS. Runs itself bare, with VMTRACE_MALLOC=sampled and with all, in turn,
 * ROUNDS times; prints for each kind of call the lowest of the thread's own CPU time a call, or a
 * pair of calls where one undoes the other, in nanoseconds, and the ratio to bare. `calls once` is
 * one such run.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define KIB 1024ul
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define HOLE ((char *)(1ul << 44))
#define CONFIGURATIONS 3

static char *range; /* 64 MiB, private, untouched at first */
static int file;    /* of a MiB, in the page cache */
static int segment;

static char *
map(size_t bytes)
{
	char *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapped == MAP_FAILED)
		exit(1);
	return mapped;
}

static void
touch(char *from, size_t bytes, size_t step)
{
	for (size_t at = 0; at < bytes; at += step)
		((volatile char *)from)[at] = 1;
}

static void
map_page(void)
{
	munmap(map(PAGE), PAGE);
}

static void
map_page_by_number(void)
{
	long page = syscall(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	syscall(SYS_munmap, page, PAGE);
}

static void
map_touched(void)
{
	char *mapped = map(64 * KIB);

	touch(mapped, 64 * KIB, PAGE);
	munmap(mapped, 64 * KIB);
}

static void
map_gib(void)
{
	munmap(map(GIB), GIB);
}

static void
map_tib(void)
{
	char *mapped = map(1024 * GIB);

	mapped[0] = mapped[512 * GIB] = 1;
	munmap(mapped, 1024 * GIB);
}

static void
map_sparse_gib(void)
{
	char *mapped = map(GIB);

	touch(mapped, GIB, 2 * MIB);
	munmap(mapped, GIB);
}

static void
map_file(void)
{
	char *mapped = mmap(NULL, MIB, PROT_READ, MAP_PRIVATE, file, 0);

	(void)*(volatile char *)mapped;
	munmap(mapped, MIB);
}

static void
map_over(void)
{
	mmap(range, 64 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	     0);
}

static void
unmap_hole_page(void)
{
	munmap(HOLE, PAGE);
}

static void
unmap_hole_gib(void)
{
	munmap(HOLE, GIB);
}

static void
unmap_hole_all(void)
{
	munmap(HOLE, 16ul << 40);
}

static void
unmap_refused(void)
{
	munmap((void *)PAGE, SIZE_MAX - 2 * PAGE + 1);
}

static void
protect(void)
{
	mprotect(range, PAGE, PROT_READ);
	mprotect(range, PAGE, PROT_READ | PROT_WRITE);
}

static void
protect_refused(void)
{
	mprotect(range, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP);
}

static void
drop_touched(void)
{
	touch(range, 64 * KIB, PAGE);
	madvise(range, 64 * KIB, MADV_DONTNEED);
}

static void
drop_empty(void)
{
	madvise(range + MIB, 64 * KIB, MADV_DONTNEED);
}

static void
drop_empty_large(void)
{
	madvise(range + MIB, 32 * MIB, MADV_DONTNEED);
}

static void
advise(void)
{
	madvise(range, 64 * KIB, MADV_NORMAL);
}

static void
grow(void)
{
	char *mapped = map(PAGE);

	mapped = mremap(mapped, PAGE, 16 * PAGE, MREMAP_MAYMOVE);
	mapped = mremap(mapped, 16 * PAGE, PAGE, 0);
	munmap(mapped, PAGE);
}

static void
move_break(void)
{
	char *page = sbrk((intptr_t)PAGE);

	*page = 1;
	sbrk(-(intptr_t)PAGE);
}

static void
keep_break(void)
{
	if (brk(sbrk(0)) != 0)
		abort();
}

static void
lock(void)
{
	mlock(range, PAGE);
	munlock(range, PAGE);
}

static void
attach(void)
{
	shmdt(shmat(segment, NULL, 0));
}

static void
allocate(size_t bytes)
{
	void *volatile block = malloc(bytes);

	free(block);
}

static void
allocate_small(void)
{
	allocate(64);
}

static void
allocate_large(void)
{
	allocate(1100 * KIB);
}

static void
reallocate(void)
{
	void *volatile block = malloc(64);

	block = realloc(block, 640);
	free(block);
}

static const struct {
	const char *name;
	void (*make)(void);
	long times;
} kinds[] = {
    {"mmap, munmap of a page", map_page, 20000},
    {"the same by syscall()", map_page_by_number, 20000},
    {"mmap, munmap of 64 KiB, touched", map_touched, 2000},
    {"mmap, munmap of a GiB, untouched", map_gib, 2000},
    {"mmap, munmap of a GiB, a page in 2 MiB touched", map_sparse_gib, 20},
    {"mmap, munmap of a TiB, two pages touched", map_tib, 500},
    {"mmap, munmap of a file's MiB, read at its start", map_file, 2000},
    {"mmap with MAP_FIXED over 64 KiB", map_over, 10000},
    {"munmap of nothing, a page", unmap_hole_page, 20000},
    {"munmap of nothing, a GiB", unmap_hole_gib, 20000},
    {"munmap of nothing, 16 TiB", unmap_hole_all, 20000},
    {"munmap that the kernel refuses", unmap_refused, 20000},
    {"mprotect of a page, twice", protect, 20000},
    {"mprotect that the kernel refuses", protect_refused, 20000},
    {"MADV_DONTNEED of 64 KiB, touched", drop_touched, 2000},
    {"MADV_DONTNEED of 64 KiB, empty", drop_empty, 20000},
    {"MADV_DONTNEED of 32 MiB, empty", drop_empty_large, 2000},
    {"MADV_NORMAL", advise, 20000},
    {"mmap, mremap up and down, munmap", grow, 5000},
    {"sbrk of a page up, touched, and down", move_break, 10000},
    {"brk to where it is", keep_break, 20000},
    {"mlock, munlock of a page", lock, 10000},
    {"shmat, shmdt of 64 KiB", attach, 10000},
    {"malloc, free of 64 bytes", allocate_small, 200000},
    {"malloc, realloc, free", reallocate, 100000},
    {"malloc, free of 1.1 MiB", allocate_large, 5000},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Prints a figure a line, in the order of kinds. */
static int
run_once(void)
{
	range = map(64 * MIB);
	madvise(range, 64 * MIB, MADV_NOHUGEPAGE);
	file = memfd_create("calls", MFD_CLOEXEC);
	segment = shmget(IPC_PRIVATE, 64 * KIB, 0600);
	for (size_t at = 0; at < MIB / PAGE; at++)
		if (pwrite(file, "x", 1, (off_t)(at * PAGE)) != 1)
			return 1;
	for (size_t kind = 0; kind < KINDS; kind++) {
		double start;

		kinds[kind].make();
		start = now_ns();
		for (long time = 0; time < kinds[kind].times; time++)
			kinds[kind].make();
		printf("%.1f\n", (now_ns() - start) / (double)kinds[kind].times);
	}
	shmctl(segment, IPC_RMID, NULL);
	return 0;
}

/* Lowers each kind's figure to what this run took. */
static int
run_configuration(const char *build, const char *mode, double *lowest)
{
	char command[8192];
	char line[64];
	FILE *output;

	snprintf(command, sizeof(command),
		 "%s%s%s%s VMTRACE_OUTPUT=%s/bench/calls.vmt exec %s/bench/calls once",
		 mode ? "LD_PRELOAD=" : "", mode ? build : "",
		 mode ? "/libvmtrace.so VMTRACE_MALLOC=" : "", mode ? mode : "", build, build);
	output = popen(command, "r");
	if (!output)
		return 1;
	for (size_t kind = 0; kind < KINDS && fgets(line, sizeof(line), output); kind++) {
		double ns = strtod(line, NULL);

		if (lowest[kind] == 0 || ns < lowest[kind])
			lowest[kind] = ns;
	}
	return pclose(output) != 0;
}

int
main(int argc, char **argv)
{
	static const char *const modes[CONFIGURATIONS] = {NULL, "sampled", "all"};
	static double lowest[CONFIGURATIONS][KINDS];
	char trace[4096];

	if (argc == 2)
		return run_once();
	if (argc != 3)
		return 2;
	for (long round = 0; round < strtol(argv[2], NULL, 10); round++)
		for (int i = 0; i < CONFIGURATIONS; i++)
			if (run_configuration(argv[1], modes[i], lowest[i]) != 0)
				return 1;
	snprintf(trace, sizeof(trace), "%s/bench/calls.vmt", argv[1]);
	unlink(trace);
	printf("%-48s %9s %9s %6s %9s %6s\n", "CPU time, ns, lowest of the rounds", "bare",
	       "sampled", "", "all", "");
	for (size_t kind = 0; kind < KINDS; kind++)
		printf("%-48s %9.0f %9.0f %6.2f %9.0f %6.2f\n", kinds[kind].name, lowest[0][kind],
		       lowest[1][kind], lowest[1][kind] / lowest[0][kind], lowest[2][kind],
		       lowest[2][kind] / lowest[0][kind]);
	return 0;
}
