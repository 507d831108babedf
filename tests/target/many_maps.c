/* Maps 1,000 x 1 MiB and touches every second page; gives every tenth back. */
#include "tests/target/truth.h"

#define MAPS 1000

static char *maps[MAPS];

/* Protections differ from one to the next, so that the kernel does not merge them. */
static NOINLINE char *
map_one(int number)
{
	int protection = PROT_READ | PROT_WRITE | (number % 2 ? PROT_EXEC : 0);

	return truth_mapped(mmap(NULL, MIB, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int
main(void)
{
	struct truth_site site = {.kind = "mmap", .function = "map_one"};

	for (int i = 0; i < MAPS; i++) {
		maps[i] = map_one(i);
		truth_touch(maps[i], MIB, 2 * PAGE);
		site.count++;
		site.total_reserved_bytes += MIB;
	}
	for (int i = 0; i < MAPS; i += 10) {
		site.released_committed_bytes += truth_present(maps[i], MIB);
		site.released_bytes += MIB;
		munmap(maps[i], MIB);
		maps[i] = NULL;
	}
	for (int i = 0; i < MAPS; i++) {
		if (!maps[i])
			continue;
		site.live_count++;
		site.reserved_bytes += MIB;
		site.committed_bytes += truth_present(maps[i], MIB);
	}
	site.accessible_bytes = site.reserved_bytes;
	truth_site(&site);
	return truth_end("many_maps");
}
