/* Makes memory calls with arguments at random, edges among them, and prints a sum of what they
 * answered and did, for each thousand of them: the same bare and under a tracer.
 *
 * Usage: any_calls maps|brk|heap SEED CALLS [FIRST LAST]: with FIRST and LAST those calls are
 * printed one by one. Everything happens at fixed addresses with nothing else near; what the kernel
 * puts elsewhere is taken away again, as its address is nobody's promise. Left out: what harms the
 * machine (MADV_HWPOISON), and what is not the same twice (MADV_COLLAPSE, MADV_FREE's pages). */
#include "tests/target/any_arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK 1000
#define SEGMENT_BYTES (16 * PAGE)
#define ERRNO_BEFORE 77
#define KEPT_BYTES (UINT64_C(64) << 20) /* of a block of the heap */

struct outcome {
	const char *call;
	uint64_t arguments[5];
	int64_t result;
};

static uint64_t sum;	/* of a block */
static int file;	/* of WINDOW_BYTES */
static int segment;	/* of shared memory */
static int own_process; /* a pidfd */
static char *first_break;

static void
add(uint64_t value)
{
	sum = (sum ^ value) * UINT64_C(0x100000001b3);
	sum ^= sum >> 29;
}

/* Where the kernel has put something: addresses in the zone are compared, others are taken away. */
static int64_t
placed(uint64_t result, uint64_t length)
{
	if (result == ~0ul || (result >= ZONE_BEGIN && result < ZONE_END))
		return (int64_t)result;
	syscall(SYS_munmap, result, length);
	return 1;
}

static void
do_mmap(struct outcome *outcome)
{
	uint64_t *a = outcome->arguments;
	void *result;

	any_range(&a[0], &a[1], is_harmless);
	if (a[1] > WINDOW_BYTES && a[1] <= TIB) /* would succeed, and could then be filled */
		a[1] = WINDOW_BYTES - (a[0] - WINDOW) % WINDOW_BYTES / PAGE * PAGE;
	a[2] = (uint64_t)any_protection();
	a[3] = (uint64_t)any_flags(a[1]);
	a[4] = below(8) ? below(WINDOW_PAGES) * PAGE : any_length(0);
	outcome->call = "mmap";
	if (below(2))
		result = mmap((void *)a[0], a[1], (int)a[2], (int)a[3], below(8) ? file : -1,
			      (off_t)a[4]);
	else
		result =
		    (void *)syscall(SYS_mmap, a[0], a[1], a[2], a[3], below(8) ? file : -1, a[4]);
	outcome->result = placed((uint64_t)result, a[1]);
}

static void
do_munmap(struct outcome *outcome)
{
	uint64_t *a = outcome->arguments;

	any_range(&a[0], &a[1], is_harmless);
	outcome->call = "munmap";
	outcome->result = below(2) ? munmap((void *)a[0], a[1]) : syscall(SYS_munmap, a[0], a[1]);
}

static void
do_mremap(struct outcome *outcome)
{
	static const int flags[] = {0,
				    MREMAP_MAYMOVE,
				    MREMAP_MAYMOVE | MREMAP_FIXED,
				    MREMAP_FIXED,
				    MREMAP_MAYMOVE | 4,
				    MREMAP_MAYMOVE | MREMAP_FIXED | 4,
				    8,
				    -1};
	uint64_t *a = outcome->arguments;
	void *result;

	any_range(&a[0], &a[1], is_harmless_in_parts);
	do {
		a[2] = any_length(a[0]);
		a[4] = any_address();
	} while (!is_harmless(a[4], a[2]) || (a[2] > WINDOW_BYTES && a[2] <= TIB));
	a[3] = (uint64_t)flags[below(8)];
	outcome->call = "mremap";
	if (below(2))
		result = mremap((void *)a[0], a[1], a[2], (int)a[3], (void *)a[4]);
	else
		result = (void *)syscall(SYS_mremap, a[0], a[1], a[2], a[3], a[4]);
	outcome->result = placed((uint64_t)result, a[2]);
}

static void
do_madvise(struct outcome *outcome)
{
	uint64_t *a = outcome->arguments;
	uint64_t way = below(4);
	struct iovec vector[2];

	any_range(&a[0], &a[1], is_harmless_in_parts);
	a[2] = (uint64_t)any_advice();
	a[3] = way;
	outcome->call = "madvise";
	if (way == 0) {
		outcome->result = syscall(SYS_madvise, a[0], a[1], a[2]);
	} else if (way == 1) {
		outcome->result = posix_madvise((void *)a[0], a[1], (int)below(7));
		return;
	} else if (way == 2) {
		vector[0] = vector[1] = (struct iovec){(void *)a[0], a[1]};
		outcome->result = process_madvise(below(8) ? own_process : -1, vector, below(4),
						  (int)a[2], below(8) == 0);
	} else {
		outcome->result = madvise((void *)a[0], a[1], (int)a[2]);
	}
	if ((int)a[2] == MADV_FREE) { /* the kernel may take them now or later */
		int saved = errno;

		syscall(SYS_madvise, a[0], a[1], MADV_DONTNEED);
		errno = saved;
	}
}

static void
do_protect(struct outcome *outcome)
{
	static const int keys[] = {-1, 0, 1, 15, 16, -2};
	uint64_t *a = outcome->arguments;

	any_range(&a[0], &a[1], is_harmless_in_parts);
	a[2] = (uint64_t)any_protection();
	a[3] = below(3);
	outcome->call = "mprotect";
	if (a[3] == 0)
		outcome->result = mprotect((void *)a[0], a[1], (int)a[2]);
	else if (a[3] == 1)
		outcome->result = syscall(SYS_mprotect, a[0], a[1], a[2]);
	else
		outcome->result = pkey_mprotect((void *)a[0], a[1], (int)a[2], keys[below(6)]);
}

static void
do_lock(struct outcome *outcome)
{
	uint64_t *a = outcome->arguments;

	any_range(&a[0], &a[1], is_harmless_in_parts);
	a[2] = below(5);
	outcome->call = "mlock, mlock2, munlock, remap_file_pages, munlockall";
	if (a[2] == 0)
		outcome->result = mlock((void *)a[0], a[1]);
	else if (a[2] == 1)
		outcome->result = mlock2((void *)a[0], a[1], (unsigned)below(4));
	else if (a[2] == 2)
		outcome->result = munlock((void *)a[0], a[1]);
	else if (a[2] == 3)
		outcome->result =
		    remap_file_pages((void *)a[0], a[1], (int)below(8) / 7, below(WINDOW_PAGES), 0);
	else
		outcome->result = munlockall();
}

static void
do_segment(struct outcome *outcome)
{
	static const int flags[] = {
	    0, SHM_RND, SHM_REMAP, SHM_REMAP | SHM_RND, SHM_RDONLY, SHM_REMAP | SHM_RDONLY};
	uint64_t *a = outcome->arguments;

	do
		a[0] = any_address();
	while (!is_harmless(a[0] / PAGE * PAGE, SEGMENT_BYTES) && a[0] != 0);
	a[1] = (uint64_t)flags[below(6)];
	a[2] = below(4);
	outcome->call = "shmat, shmdt";
	if (a[2] == 0)
		outcome->result = shmdt((void *)a[0]);
	else if (a[2] == 1)
		outcome->result = syscall(SYS_shmdt, a[0]);
	else
		outcome->result =
		    placed((uint64_t)shmat(below(8) ? segment : -1, (void *)a[0], (int)a[1]),
			   SEGMENT_BYTES);
}

/* Writes a page where it may be written: the kernel does it, or refuses. */
static void
do_write(struct outcome *outcome)
{
	static char bytes[PAGE];
	uint64_t at = WINDOW + below(WINDOW_PAGES) * PAGE;
	struct iovec from = {bytes, PAGE};
	struct iovec to = {(void *)at, PAGE};

	memset(bytes, (int)any(), sizeof(bytes));
	outcome->call = "(write)";
	outcome->arguments[0] = at;
	outcome->result = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
}

static void
do_observe(struct outcome *outcome)
{
	static unsigned char marks[WINDOW_PAGES];
	uint64_t *a = outcome->arguments;

	a[0] = WINDOW + below(WINDOW_PAGES) * PAGE;
	outcome->call = "mincore";
	outcome->result = mincore((void *)a[0], PAGE, marks);
}

static void
call_maps(struct outcome *outcome)
{
	static void (*const calls[])(struct outcome * outcome) = {
	    do_mmap,	do_mmap,    do_mmap, do_munmap,	 do_mremap, do_madvise, do_madvise,
	    do_protect, do_protect, do_lock, do_segment, do_write,  do_write,	do_observe};

	calls[below(sizeof(calls) / sizeof(calls[0]))](outcome);
}

/* Only up from where the heap's own blocks end. */
static void
call_brk(struct outcome *outcome)
{
	static const uint64_t edges[] = {0, 1, PAGE, 1ul << 47, 1ul << 63, ~0ul, ~0ul - PAGE};
	uint64_t *a = outcome->arguments;
	char *now = sbrk(0);

	a[0] = below(8) ? (uint64_t)first_break + below(256 * PAGE)
			: edges[below(sizeof(edges) / sizeof(edges[0]))];
	a[1] = below(4);
	outcome->call = "brk, sbrk";
	errno = ERRNO_BEFORE;
	if (a[1] == 0) {
		outcome->result = brk((void *)a[0]);
	} else if (a[1] == 1) {
		outcome->result = syscall(SYS_brk, a[0]) - (long)first_break;
		brk((void *)syscall(SYS_brk, 0)); /* tells libc */
	} else if (below(8) == 0) {
		outcome->result = (long)sbrk(below(2) ? INTPTR_MAX : INTPTR_MIN + 1);
	} else {
		a[0] = (uint64_t)first_break + below(256 * PAGE);
		outcome->result = (char *)sbrk((char *)a[0] - now) - first_break;
	}
	add((uint64_t)((char *)sbrk(0) - first_break));
}

/* A realloc that copied gigabytes would make them resident. */
static void
drop_huge(void **block)
{
	if (malloc_usable_size(*block) <= KEPT_BYTES)
		return;
	free(*block);
	*block = NULL;
}

static void
call_heap(struct outcome *outcome)
{
	static void *blocks[64];
	uint64_t *a = outcome->arguments;
	void **block = &blocks[below(64)];
	void *fresh = NULL;

	a[0] = below(8);
	a[1] = any_size();
	a[2] = below(4) ? 1 + below(16) : any_size();
	outcome->call = "malloc's family";
	if (a[0] == 0) {
		fresh = malloc(a[1]);
	} else if (a[0] == 1) {
		fresh = calloc(a[1], a[2]);
	} else if (a[0] == 2) {
		fresh = aligned_alloc(a[2], a[1]);
	} else if (a[0] == 3) {
		outcome->result = posix_memalign(&fresh, a[2], a[1]);
	} else if (a[0] == 4) {
		fresh = a[2] % 2 ? valloc(a[1]) : pvalloc(a[1]);
	} else {
		void *old = *block;

		fresh = a[0] == 5 ? realloc(old, a[1]) : reallocarray(old, a[1], a[2]);
		outcome->result += fresh != NULL;
		if (fresh || (a[0] == 5 && a[1] == 0) || (a[0] > 5 && (a[1] == 0 || a[2] == 0)))
			*block = fresh;
		drop_huge(block);
		return;
	}
	outcome->result += fresh != NULL;
	if (fresh && malloc_usable_size(fresh) != 0)
		*(char *)fresh = 1;
	free(*block);
	*block = fresh;
	drop_huge(block);
}

/* The lines of maps in the zone, without inodes, and what can be read there. */
static void
add_state(void)
{
	static char text[1 << 20];
	static char page[PAGE];
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t used = 0;
	ssize_t got;
	char *rest;

	while ((got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	text[used] = 0;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		uint64_t start = strtoul(line, NULL, 16);

		for (size_t i = 0; start >= ZONE_BEGIN && start < ZONE_END && i < 40 && line[i];
		     i++)
			add((uint64_t)line[i]);
	}
	for (uint64_t i = 0; i < WINDOW_PAGES; i++) {
		struct iovec to = {page, PAGE};
		struct iovec from = {(void *)(WINDOW + i * PAGE), PAGE};

		if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)PAGE)
			continue;
		for (size_t at = 0; at < PAGE; at += 512)
			add((uint64_t)page[at] + i);
	}
}

static void
print(long index, const struct outcome *outcome, int error)
{
	const uint64_t *a = outcome->arguments;

	printf("%ld %s(%#" PRIx64 ", %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64 ", %#" PRIx64
	       ") = %" PRId64 ", errno %d\n",
	       index, outcome->call, a[0], a[1], a[2], a[3], a[4], outcome->result, error);
}

static void
run(void (*call)(struct outcome *outcome), long calls, long first, long last)
{
	for (long index = 0; index < calls; index++) {
		struct outcome outcome = {.call = "", .result = 0};
		int error;

		errno = ERRNO_BEFORE;
		call(&outcome);
		error = errno;
		add((uint64_t)outcome.result);
		add((uint64_t)error);
		if (index >= first && index <= last)
			print(index, &outcome, error);
		if (index % BLOCK != BLOCK - 1)
			continue;
		if (call == call_maps)
			add_state();
		printf("%ld %016" PRIx64 "\n", index / BLOCK, sum);
	}
}

/* The same addresses in every run. */
static void
stop_randomizing(char **argv)
{
	int now = personality(0xffffffff);

	if (now & ADDR_NO_RANDOMIZE)
		return;
	personality((unsigned)(now | ADDR_NO_RANDOMIZE));
	execv("/proc/self/exe", argv);
	exit(1);
}

int
main(int argc, char **argv)
{
	static char buffer[1 << 16];

	if (argc < 4)
		return 2;
	stop_randomizing(argv);
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	state = strtoul(argv[2], NULL, 10) * 2 + 1;
	file = memfd_create("any_calls", MFD_CLOEXEC);
	segment = shmget(IPC_PRIVATE, SEGMENT_BYTES, 0600);
	own_process = (int)syscall(SYS_pidfd_open, getpid(), 0);
	first_break = sbrk(0);
	if (ftruncate(file, (off_t)WINDOW_BYTES) != 0)
		return 1;
	run(argv[1][0] == 'm'	? call_maps
	    : argv[1][0] == 'b' ? call_brk
				: call_heap,
	    strtol(argv[3], NULL, 10), argc > 5 ? strtol(argv[4], NULL, 10) : 0,
	    argc > 5 ? strtol(argv[5], NULL, 10) : -1);
	shmctl(segment, IPC_RMID, NULL);
	return 0;
}
