/*
 * kernel_figures file|tables|huge|locked: memory of which the kernel counts more than RSS.
 *
 *   file     16 MiB of a file mapped privately and read, a quarter of it written: these are copies;
 *            and the file's first half mapped again, shared
 *   tables   a page in each of 4000 windows of 2 MiB, all of them given up: the page tables stay
 *   huge     a page in each MiB of 32 MiB under MADV_HUGEPAGE
 *   locked   2 MiB locked by mlock, twice; 1 MiB locked on fault; a call that is refused
 *
 * The second argument is the file's path. Then it prints /proc/self/smaps_rollup and
 * /proc/self/status, and ends. Status 77: not to be had here.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)
#define FILE_BYTES (16 * MIB)
#define WINDOWS 4000u
#define WINDOW_BYTES (2 * MIB)
#define HUGE_BYTES (32 * MIB)

static char *
map(size_t bytes, int flags, int fd)
{
	char *range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (range == MAP_FAILED)
		_exit(77);
	return range;
}

__attribute__((noinline)) static void
read_pages(const volatile char *range, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += PAGE)
		(void)range[at];
}

static void
make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *copies, *twice;
	char page[PAGE];

	memset(page, 7, sizeof(page));
	for (size_t at = 0; at < FILE_BYTES; at += PAGE)
		if (fd < 0 || write(fd, page, PAGE) != (ssize_t)PAGE)
			_exit(77);
	copies = map(FILE_BYTES, MAP_PRIVATE, fd);
	twice = map(FILE_BYTES / 2, MAP_SHARED, fd);
	read_pages(copies, FILE_BYTES);
	read_pages(twice, FILE_BYTES / 2);
	for (size_t at = 0; at < FILE_BYTES / 4; at += PAGE)
		copies[at] = 1;
	close(fd);
}

static void
make_tables(void)
{
	size_t bytes = WINDOWS * WINDOW_BYTES;
	char *range = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	madvise(range, bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < WINDOWS; i++)
		range[i * WINDOW_BYTES] = 1;
	for (size_t i = 0; i < WINDOWS; i++)
		madvise(range + i * WINDOW_BYTES, PAGE, MADV_DONTNEED);
}

static void
make_huge(void)
{
	char *range = map(HUGE_BYTES + 2 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	range += (2 * MIB - (size_t)range % (2 * MIB)) % (2 * MIB);
	if (madvise(range, HUGE_BYTES, MADV_HUGEPAGE))
		_exit(77);
	for (size_t at = 0; at < HUGE_BYTES; at += MIB)
		range[at] = 1;
}

__attribute__((noinline)) static void
lock_ranges(void)
{
	char *range = map(8 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (mlock(range, 2 * MIB) || mlock2(range + 4 * MIB, MIB, MLOCK_ONFAULT) ||
	    mlock2(range, 2 * MIB, 0))
		_exit(77);
	if (mlock((char *)PAGE, PAGE) == 0)
		_exit(1);
}

/* Without the C library's files: reading them would change what is read. */
static void
say(const char *path)
{
	static char text[16384];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (length < 0 || write(1, text, (size_t)length) != length)
		_exit(1);
	close(fd);
}

int
main(int count, char **arguments)
{
	if (count < 3)
		return 2;
	if (strcmp(arguments[1], "file") == 0)
		make_file(arguments[2]);
	else if (strcmp(arguments[1], "tables") == 0)
		make_tables();
	else if (strcmp(arguments[1], "locked") == 0)
		lock_ranges();
	else
		make_huge();
	say("/proc/self/smaps_rollup");
	say("/proc/self/status");
	return 0;
}
