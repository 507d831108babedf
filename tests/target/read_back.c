/*
 * read_back: reads pages that a file or swap has, and RAM no longer
 *
 * Usage: read_back file PATH | swap
 *   file     a file of 32 MiB that it writes, and of which nothing is left in the page cache
 *   swap     32 MiB that it fills, and then has the kernel swap out
 *
 * read_quarter() reads the first quarter, read_half() the last half, page by page. Says "unread" if
 * pages did not leave RAM, else "ready" and, after a line on standard input, "major N minor N": the
 * faults that reading them took; it ends at another line.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define BYTES ((size_t)32 << 20)
#define PIECE ((size_t)1 << 20)
#define TRIES 100

static size_t page_bytes;
static volatile unsigned sum;

/* Without reading ahead every page is a fault of its own. */
__attribute__((noinline)) static char *
map_file(const char *path)
{
	static char piece[PIECE];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *region;

	for (size_t at = 0; at < BYTES; at += PIECE)
		if (write(fd, piece, PIECE) != (ssize_t)PIECE)
			_exit(1);
	if (fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		_exit(1);
	region = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
	if (region == MAP_FAILED || madvise(region, BYTES, MADV_RANDOM) != 0)
		_exit(1);
	close(fd);
	return region;
}

__attribute__((noinline)) static void
fill(char *region)
{
	for (size_t at = 0; at < BYTES; at += page_bytes)
		region[at] = (char)(at / page_bytes | 1);
}

__attribute__((noinline)) static char *
map_filled(void)
{
	char *region =
	    mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (region == MAP_FAILED || madvise(region, BYTES, MADV_NOHUGEPAGE) != 0)
		_exit(1);
	fill(region);
	return region;
}

static size_t
resident(char *region)
{
	static unsigned char pages[BYTES / 4096];
	size_t count = 0;

	if (mincore(region, BYTES, pages) != 0)
		_exit(1);
	for (size_t i = 0; i < BYTES / page_bytes; i++)
		count += pages[i] & 1;
	return count;
}

/* A page leaves once it has been written to swap, and another call has found that out. */
static int
swap_out(char *region)
{
	for (unsigned i = 0; i < TRIES && resident(region) != 0; i++)
		if (madvise(region, BYTES, MADV_PAGEOUT) != 0)
			return -1;
	return resident(region) == 0 ? 0 : -1;
}

__attribute__((noinline)) static void
read_quarter(const char *region)
{
	for (size_t at = 0; at < BYTES / 4; at += page_bytes)
		sum += ((const volatile char *)region)[at];
}

__attribute__((noinline)) static void
read_half(const char *region)
{
	for (size_t at = BYTES / 2; at < BYTES; at += page_bytes)
		sum += ((const volatile char *)region)[at];
}

static void
say(const char *line)
{
	puts(line);
	fflush(stdout);
}

static void
wait_for_line(void)
{
	char byte;

	if (read(STDIN_FILENO, &byte, 1) != 1)
		_exit(1);
}

int
main(int argc, char **argv)
{
	struct rusage before, after;
	char line[64];
	char *region;

	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	if (argc == 3 && strcmp(argv[1], "file") == 0)
		region = map_file(argv[2]);
	else if (argc == 2 && strcmp(argv[1], "swap") == 0)
		region = map_filled();
	else
		return 2;
	if (argc == 2 ? swap_out(region) != 0 : resident(region) != 0) {
		say("unread");
		return 0;
	}
	say("ready");
	wait_for_line();
	getrusage(RUSAGE_SELF, &before);
	read_quarter(region);
	read_half(region);
	getrusage(RUSAGE_SELF, &after);
	snprintf(line, sizeof(line), "major %ld minor %ld", after.ru_majflt - before.ru_majflt,
		 after.ru_minflt - before.ru_minflt);
	say(line);
	wait_for_line();
	return 0;
}
