/* A MAP_SHARED memfd: written, partly given back by advice (its pages stay in the file), mapped a
 * second time and unmapped there. Where pages are released, a MiB at a time: the look is exact. */
#include "tests/target/truth.h"

#define LENGTH (16 * MIB)

static NOINLINE char *
map_shared(int fd)
{
	return truth_mapped(mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

static NOINLINE char *
map_again(int fd)
{
	return truth_mapped(mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

int
main(void)
{
	struct truth_site first = {.kind = "mmap", .function = "map_shared"};
	struct truth_site second = {.kind = "mmap", .function = "map_again"};
	int fd = memfd_create("shared", MFD_CLOEXEC);
	char *range, *again;

	if (fd < 0 || ftruncate(fd, (off_t)LENGTH) != 0)
		truth_die("memfd");
	range = map_shared(fd);
	again = map_again(fd);
	truth_touch(range, 12 * MIB, PAGE);
	truth_touch(again, MIB, PAGE);
	first.released_committed_bytes = truth_present(range + 2 * MIB, MIB);
	madvise(range + 2 * MIB, MIB, MADV_DONTNEED);
	second.released_committed_bytes = truth_present(again, LENGTH);
	munmap(again, MIB);
	munmap(again + MIB, LENGTH - MIB);

	first.count = first.live_count = second.count = 1;
	first.reserved_bytes = first.accessible_bytes = first.total_reserved_bytes = LENGTH;
	first.committed_bytes = truth_present(range, LENGTH);
	second.total_reserved_bytes = second.released_bytes = LENGTH;
	truth_site(&first);
	truth_site(&second);
	return truth_end("shared_memfd");
}
