/* Maps 1,000 x 1 MiB, or with an argument as many as it says x 8 KiB, and touches every second
 * page; gives every tenth back. */
#include "tests/target/truth.h"

static int count = 1000;
static size_t length = MIB;
static char **maps;

/* Protections differ from one to the next, so that the kernel does not merge them. */
static NOINLINE char *
map_one(int number)
{
	int protection = PROT_READ | PROT_WRITE | (number % 2 ? PROT_EXEC : 0);

	return truth_mapped(mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int
main(int argc, char **argv)
{
	struct truth_site site = {.kind = "mmap", .function = "map_one"};

	if (argc > 1) {
		count = atoi(argv[1]);
		length = 2 * PAGE;
	}
	maps = calloc((size_t)count, sizeof(*maps));
	if (maps == NULL)
		truth_die("calloc");
	for (int i = 0; i < count; i++) {
		maps[i] = map_one(i);
		truth_touch(maps[i], length, 2 * PAGE);
		site.count++;
		site.total_reserved_bytes += length;
	}
	for (int i = 0; i < count; i += 10) {
		site.released_committed_bytes += truth_present(maps[i], length);
		site.released_bytes += length;
		munmap(maps[i], length);
		maps[i] = NULL;
	}
	for (int i = 0; i < count; i++) {
		if (!maps[i])
			continue;
		site.live_count++;
		site.reserved_bytes += length;
		site.committed_bytes += truth_present(maps[i], length);
	}
	site.accessible_bytes = site.reserved_bytes;
	truth_site(&site);
	return truth_end("many_maps");
}
