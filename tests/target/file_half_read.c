/* Maps a file twice and reads half of it; the second mapping is given back. */
#include "tests/target/truth.h"

#define LENGTH (2 * MIB) /* few enough unread pages for an exact look at the release */

static NOINLINE char *
map_file(int fd)
{
	return truth_mapped(mmap(NULL, LENGTH, PROT_READ, MAP_PRIVATE, fd, 0));
}

static NOINLINE char *
map_file_again(int fd)
{
	return truth_mapped(mmap(NULL, LENGTH, PROT_READ, MAP_PRIVATE, fd, 0));
}

static int
make_file(void)
{
	static char block[MIB];
	const char *directory = getenv("TMPDIR");
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/vmtrace-half.XXXXXX", directory ? directory : "/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		truth_die("mkstemp");
	memset(block, 'x', sizeof(block));
	for (size_t at = 0; at < LENGTH; at += sizeof(block))
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			truth_die("write");
	unlink(path);
	return fd;
}

static void
read_pages(const volatile char *range, size_t length)
{
	for (size_t at = 0; at < length; at += PAGE)
		(void)range[at];
}

int
main(void)
{
	struct truth_site first = {.kind = "mmap", .function = "map_file"};
	struct truth_site second = {.kind = "mmap", .function = "map_file_again"};
	int fd = make_file();
	char *range = map_file(fd);
	char *again = map_file_again(fd);

	read_pages(range, LENGTH / 2);
	read_pages(again + MIB / 4, MIB);
	second.released_committed_bytes = truth_present(again, LENGTH);
	munmap(again, LENGTH);
	first.count = first.live_count = second.count = 1;
	first.reserved_bytes = first.accessible_bytes = first.total_reserved_bytes = LENGTH;
	first.committed_bytes = truth_present(range, LENGTH);
	second.total_reserved_bytes = second.released_bytes = LENGTH;
	truth_site(&first);
	truth_site(&second);
	return truth_end("file_half_read");
}
