/* Reserves a TiB, uses a little of its middle and gives a quarter back; maps a sparse file of 6 GiB
 * and uses what lies beyond 4 GiB. */
#include "tests/target/truth.h"

#define GIB ((size_t)1 << 30)
#define RESERVED (1024 * GIB)
#define RETURNED (256 * GIB)
#define USABLE (16 * MIB)
#define FILE_BYTES (6 * GIB)

static NOINLINE char *
reserve(void)
{
	return truth_mapped(
	    mmap(NULL, RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

static NOINLINE char *
map_sparse(int fd)
{
	return truth_mapped(mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

int
main(void)
{
	struct truth_site memory = {.kind = "mmap", .function = "reserve"};
	struct truth_site file = {.kind = "mmap", .function = "map_sparse"};
	char *base = reserve();
	char *middle = base + 512 * GIB;
	int fd = memfd_create("sparse", MFD_CLOEXEC);
	char *sparse;

	if (fd < 0 || ftruncate(fd, (off_t)FILE_BYTES) != 0)
		truth_die("memfd_create");
	sparse = map_sparse(fd);
	if (mprotect(middle, USABLE, PROT_READ | PROT_WRITE) != 0)
		truth_die("mprotect");
	memset(middle + MIB, 'x', 4 * MIB);
	memset(sparse + 5 * GIB, 'x', MIB);
	munmap(base + RESERVED - RETURNED, RETURNED);
	memory.count = memory.live_count = file.count = file.live_count = 1;
	memory.total_reserved_bytes = RESERVED;
	memory.released_bytes = RETURNED;
	memory.reserved_bytes = RESERVED - RETURNED;
	memory.accessible_bytes = USABLE;
	memory.committed_bytes = truth_present(middle, USABLE);
	file.total_reserved_bytes = file.reserved_bytes = file.accessible_bytes = FILE_BYTES;
	file.committed_bytes = truth_present(sparse + 5 * GIB, GIB);
	truth_site(&memory);
	truth_site(&file);
	return truth_end("vast");
}
