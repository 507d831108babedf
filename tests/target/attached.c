/* A program that is recorded while it runs: each byte of its input makes it map so many MiB, one
 * by one; it writes them, checks what it wrote before, and answers with the byte. Other threads do
 * the same by themselves all the while, of which nothing stays. At the end of the input it exits
 * with 7. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define MOST 1024
#define WORDS 512

static unsigned char *held[MOST];
static int count;

__attribute__((noinline)) static unsigned char *
grow(void)
{
	unsigned char *memory =
	    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	return memory;
}

static void
check(void)
{
	for (int i = 0; i < count; i++)
		for (size_t at = 0; at < MIB; at += 4096)
			if (held[i][at] != (unsigned char)(i + 1))
				_exit(2);
}

/* New memory is zeroed, what was written stays, and what is given back is zeroed again. */
static void *
churn(void *unused)
{
	for (unsigned long round = 1;; round++) {
		size_t bytes = WORDS * sizeof(unsigned long) * 2;
		unsigned long *words =
		    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (words == MAP_FAILED)
			_exit(3);
		for (int i = 0; i < WORDS; i++) {
			if (words[i] != 0)
				_exit(4);
			words[i] = round + (unsigned long)i;
		}
		for (int i = 0; i < WORDS; i++)
			if (words[i] != round + (unsigned long)i)
				_exit(5);
		if (madvise(words, bytes, MADV_DONTNEED) != 0 || words[1] != 0)
			_exit(6);
		if (munmap(words, bytes) != 0)
			_exit(8);
	}
	return unused;
}

int
main(int argc, char **argv)
{
	unsigned char byte;

	for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, churn, NULL) != 0)
			return 9;
	}
	while (read(0, &byte, 1) == 1) {
		check();
		for (int i = 0; i < byte && count < MOST; i++, count++) {
			held[count] = grow();
			memset(held[count], count + 1, MIB);
		}
		if (write(1, &byte, 1) != 1)
			return 10;
	}
	check();
	_exit(7);
}
