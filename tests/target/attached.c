/* A program that is recorded while it runs: each byte of its input makes it map so many MiB, one
 * by one; it writes them, checks what it wrote before, and answers with the byte. Other threads do
 * the same by themselves all the while, of which nothing stays. At the end of the input it exits
 * with 7.
 *
 * Arguments: how many other threads; "below": it has 1.2 GiB without a gap below its libraries, or
 * "around": all is taken within 2 GiB of them, and it maps by a system call of its own. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define MOST 1024
#define WORDS 512

#define GIB ((uintptr_t)1 << 30)
#define TOP ((uintptr_t)0x7fffffff0000)	 /* of what may be mapped */
#define STACK_BYTES ((uintptr_t)4 << 20) /* left to it */

static unsigned char *held[MOST];
static int count;
static int is_raw;

static void
take(uintptr_t low, uintptr_t high)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *at = (void *)low; /* NULL: where the kernel chooses */
	void *got = mmap(at, high - low, PROT_NONE, low ? flags | MAP_FIXED : flags, -1, 0);

	if (got == MAP_FAILED || (low != 0 && got != at))
		_exit(11);
}

/* Whatever is free within reach of the C library and of the loader. */
static void
take_around(void)
{
	static struct {
		uintptr_t low, high;
	} gaps[256];
	size_t gaps_count = 0;
	uintptr_t near = (uintptr_t)mmap & ~(uintptr_t)65535;
	uintptr_t last = 65536;
	char line[4200];
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		uintptr_t low = last < near - 3 * GIB ? near - 3 * GIB : last;
		uintptr_t high;

		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			_exit(12);
		high = strstr(line, "[stack]") ? start - STACK_BYTES : start;
		high = high > near + 3 * GIB ? near + 3 * GIB : high;
		high = high > TOP ? TOP : high;
		if (low < high && gaps_count < 256) {
			gaps[gaps_count].low = low;
			gaps[gaps_count++].high = high;
		}
		last = end;
	}
	if (!maps || fclose(maps) != 0)
		_exit(13);
	while (gaps_count-- > 0)
		take(gaps[gaps_count].low, gaps[gaps_count].high);
}

static void *
map_raw(size_t bytes)
{
	register long flags __asm__("r10") = MAP_PRIVATE | MAP_ANONYMOUS;
	register long fd __asm__("r8") = -1;
	register long offset __asm__("r9") = 0;
	long result;

	__asm__ volatile("xor %%edi, %%edi\n\tmov $9, %%eax\n\tsyscall"
			 : "=a"(result)
			 : "S"(bytes), "d"((long)(PROT_READ | PROT_WRITE)), "r"(flags), "r"(fd),
			   "r"(offset)
			 : "rcx", "r11", "rdi", "memory");
	return result < 0 ? MAP_FAILED : (void *)result;
}

__attribute__((noinline)) static unsigned char *
grow(void)
{
	unsigned char *memory =
	    is_raw ? map_raw(MIB)
		   : mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

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

	if (argc > 2 && strcmp(argv[2], "below") == 0)
		take(0, 1200 * MIB);
	if (argc > 2 && strcmp(argv[2], "around") == 0) {
		is_raw = 1;
		take_around();
	}
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
