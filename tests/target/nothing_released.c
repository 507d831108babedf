/* Releases what is not there, argv[1] times: a hole of a GiB, an untouched GiB, a hole far away,
 * and reservations of a TiB with little in them. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GIB (1ul << 30)
#define TIB (1ul << 40)

__attribute__((noinline)) static char *
reserve(size_t bytes)
{
	char *range = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (range == MAP_FAILED)
		exit(1);
	return range;
}

__attribute__((noinline)) static void
release_hole(char *range)
{
	munmap(range, GIB);
}

__attribute__((noinline)) static void
release_untouched(void)
{
	munmap(reserve(GIB), GIB);
}

__attribute__((noinline)) static void
release_small(void)
{
	char *range = reserve(16ul << 20);

	for (size_t at = 0; at < 16ul << 20; at += 2ul << 20)
		range[at] = 1;
	munmap(range, 16ul << 20);
}

__attribute__((noinline)) static void
release_vast(void)
{
	char *range = reserve(TIB);

	range[0] = range[TIB / 2] = 1;
	madvise(range, TIB, MADV_DONTNEED);
	munmap(range, TIB);
}

int
main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;
	char *range = reserve(GIB);

	for (int i = 0; i < rounds; i++) {
		release_hole(range);
		release_untouched();
		release_hole((char *)(1ul << 44));
		release_small();
		release_vast();
	}
	puts("done");
	return 0;
}
