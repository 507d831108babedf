/* Makes calls of the memory family with ranges and sizes that no program should pass, by libc's
 * functions and by syscall(), and prints what each answers. A call that succeeds does so on nothing
 * or on this program's own range. */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096ul
#define HIGH (1ul << 63)
#define OUR_PROCESS (-20000) /* a pidfd that stands for the caller */
#define ENTRIES 1024

static volatile size_t most = SIZE_MAX; /* so that no compiler knows the sizes */

static void
say(const char *what, long result)
{
	printf("%s: %s\n", what, result == -1 ? strerror(errno) : "ok");
}

static void
say_block(const char *what, void *block)
{
	printf("%s: %s\n", what, block ? "ok" : strerror(errno));
	free(block);
}

static void
by_functions(char *range)
{
	size_t to_end = SIZE_MAX - (uintptr_t)range - PAGE + 1;
	int whole = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	say("munmap, nearly all", munmap((void *)PAGE, SIZE_MAX - 2 * PAGE + 1));
	say("munmap, to the end", munmap(range, to_end));
	say("munmap, wrapping", munmap(range, SIZE_MAX));
	say("munmap, nothing", munmap(range, 0));
	say("munmap, above", munmap((void *)HIGH, PAGE));
	say("madvise, upper half", madvise((void *)HIGH, HIGH - 2 * PAGE, MADV_DONTNEED));
	say("madvise, wrapping", madvise(range, SIZE_MAX - 1, MADV_DONTNEED));
	say("madvise, normal", madvise((void *)HIGH, HIGH - 2 * PAGE, MADV_NORMAL));
	say("madvise, a TiB of nothing", madvise((void *)(1ul << 44), 1ul << 40, MADV_FREE));
	say("mprotect, wrapping", mprotect(range, SIZE_MAX - PAGE, PROT_READ));
	say("mprotect, above", mprotect((void *)HIGH, PAGE, PROT_READ));
	say("mmap fixed, to the end", (long)mmap(range, to_end, PROT_READ, whole, -1, 0));
	say("mmap fixed, wrapping", (long)mmap(range, SIZE_MAX, PROT_READ, whole, -1, 0));
	say("mmap huge, wrapping",
	    (long)mmap(range, SIZE_MAX, PROT_READ, whole | MAP_HUGETLB | (63u << MAP_HUGE_SHIFT),
		       -1, 0));
	say("mremap, old wraps", (long)mremap(range + PAGE, SIZE_MAX - PAGE, PAGE, 0));
	say("mremap, new wraps", (long)mremap(range, PAGE, SIZE_MAX, MREMAP_MAYMOVE));
	say("mremap fixed, above",
	    (long)mremap(range, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)(HIGH + PAGE)));
	say("mlock, wrapping", mlock(range, SIZE_MAX));
	say("munlock, above", munlock((void *)HIGH, HIGH - PAGE));
	say("brk, above", brk((void *)HIGH));
	say("brk, below", brk((void *)PAGE));
	say("brk, the last", brk((void *)(SIZE_MAX - 1)));
	say("sbrk, too much", (long)sbrk(INTPTR_MAX));
	say("sbrk, too little", (long)sbrk(INTPTR_MIN + 1));
	say("shmdt, the last", shmdt((void *)SIZE_MAX));
}

static void
by_numbers(char *range)
{
	say("munmap", syscall(SYS_munmap, PAGE, SIZE_MAX - 2 * PAGE + 1));
	say("madvise", syscall(SYS_madvise, HIGH, HIGH - 2 * PAGE, MADV_DONTNEED));
	say("mprotect", syscall(SYS_mprotect, range, SIZE_MAX - PAGE, PROT_READ));
	say("mremap", syscall(SYS_mremap, range, SIZE_MAX - PAGE, SIZE_MAX, 0));
	say("mmap", syscall(SYS_mmap, range, SIZE_MAX - 2 * PAGE, PROT_READ,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

/* Ranges that wrap among ones that do not, and as many of nothing as the kernel takes. */
static void
by_vectors(char *range)
{
	struct iovec vector[ENTRIES];
	unsigned advice = MADV_COLD;

	for (int entry = 0; entry < ENTRIES; entry++) {
		vector[entry].iov_base = range + (size_t)entry % 4 * PAGE;
		vector[entry].iov_len = PAGE;
	}
	say("process_madvise, none",
	    syscall(SYS_process_madvise, OUR_PROCESS, vector, 0, advice, 0) < 0 ? -1 : 0);
	vector[1].iov_base = (void *)HIGH;
	vector[1].iov_len = HIGH - 1;
	say("process_madvise, above",
	    process_madvise(OUR_PROCESS, vector, 2, MADV_DONTNEED, 0) < 0 ? -1 : 0);
	vector[1].iov_len = SIZE_MAX;
	say("process_madvise, wrapping",
	    process_madvise(OUR_PROCESS, vector, 2, MADV_DONTNEED, 0) < 0 ? -1 : 0);
	say("process_madvise, too many",
	    process_madvise(OUR_PROCESS, vector, SIZE_MAX, MADV_DONTNEED, 0) < 0 ? -1 : 0);
	say("process_madvise, nowhere",
	    process_madvise(OUR_PROCESS, (void *)HIGH, 2, MADV_DONTNEED, 0) < 0 ? -1 : 0);
}

static void
of_the_heap(void)
{
	void *block = NULL;

	say_block("malloc", malloc(most));
	say_block("calloc, wraps to 0", calloc(most / 2 + 1, 2));
	say_block("calloc, wraps to 16", calloc(most / 16 + 2, 16));
	say_block("realloc", realloc(NULL, most - 16));
	say_block("reallocarray", reallocarray(NULL, most / 2 + 1, 2));
	say_block("aligned_alloc", aligned_alloc(4096, most - 4095));
	say_block("memalign", memalign(most / 2 + 1, most / 2));
	say_block("valloc", valloc(most));
	say_block("pvalloc", pvalloc(most));
	printf("posix_memalign: %d\n", posix_memalign(&block, most / 2 + 1, 1));
	printf("posix_memalign: %d\n", posix_memalign(&block, 64, most - 63));
}

int
main(void)
{
	char *range =
	    mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	range[0] = 1;
	by_functions(range);
	by_numbers(range);
	by_vectors(range);
	of_the_heap();
	munmap(range, 4 * PAGE);
	return 0;
}
