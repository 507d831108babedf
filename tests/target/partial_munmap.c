/* Unmaps the middle, the head and an odd tail of a range, and tries what cannot be unmapped. */
#include "tests/target/truth.h"

#include <errno.h>

#define LENGTH (16 * MIB)

static struct truth_site site = {.kind = "mmap", .function = "map_range"};

static NOINLINE char *
map_range(void)
{
	return truth_mapped(
	    mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE void
unmap_part(char *part, size_t length)
{
	size_t whole_pages = (length + PAGE - 1) / PAGE * PAGE;

	site.released_committed_bytes += truth_present(part, whole_pages);
	site.released_bytes += whole_pages;
	if (munmap(part, length) != 0)
		truth_die("munmap");
}

int
main(void)
{
	char *range = map_range();

	truth_touch(range, LENGTH, 3 * PAGE);
	unmap_part(range + 6 * MIB, 4 * MIB);
	unmap_part(range, 3 * PAGE);
	unmap_part(range + 15 * MIB, MIB - PAGE + 100);
	if (munmap(range + 4 * MIB + 1, PAGE) != -1 || errno != EINVAL)
		truth_die("munmap of an odd address");
	if (munmap(range + 4 * MIB, 0) != -1 || errno != EINVAL)
		truth_die("munmap of nothing");
	site.count = 1;
	site.live_count = 1;
	site.total_reserved_bytes = LENGTH;
	site.reserved_bytes = LENGTH - site.released_bytes;
	site.accessible_bytes = site.reserved_bytes;
	site.committed_bytes = truth_present(range + 3 * PAGE, 6 * MIB - 3 * PAGE) +
			       truth_present(range + 10 * MIB, 5 * MIB);
	truth_site(&site);
	return truth_end("partial_munmap");
}
