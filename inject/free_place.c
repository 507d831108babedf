#include "inject/free_place.h"

#include "base/procfs.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define UNIT VMT_FREE_PLACE_UNIT
#define TOP UINT64_C(0x7fffffff0000)	      /* of what a program may map */
#define STACK_MOST_BYTES (UINT64_C(1) << 30)  /* without a limit */
#define STACK_GUARD_BYTES (UINT64_C(1) << 20) /* the kernel keeps it free below a stack */

struct search {
	const struct vmt_free_place *wanted;
	uint64_t last_end; /* of the mapping before, and what it may grow into */
	uint64_t distance; /* of what is found from the file */
	uint64_t found;	   /* 0: none yet */
};

static uint64_t
less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What of [from, to) is reached, if it is beside the file and enough. */
static void
try_gap(struct search *search, uint64_t from, uint64_t to)
{
	const struct vmt_free_place *wanted = search->wanted;
	bool is_below = to <= wanted->low;
	uint64_t first, last, distance;

	if (!is_below && from < wanted->high)
		return;
	first = larger(from + UNIT, less(wanted->high, VMT_FREE_PLACE_REACH_BYTES));
	first = (first + UNIT - 1) & ~(UNIT - 1);
	last = smaller(less(to, UNIT), wanted->low + VMT_FREE_PLACE_REACH_BYTES);
	last = less(last, wanted->bytes) & ~(UNIT - 1);
	if (first > last)
		return;
	distance = is_below ? wanted->low - last - wanted->bytes : first - wanted->high;
	if (search->found != 0 && distance >= search->distance)
		return;
	search->found = is_below ? last : first;
	search->distance = distance;
}

static bool
is_named(const struct vmt_mapping *mapping, const char *name)
{
	return mapping->path_bytes == strlen(name) &&
	       memcmp(mapping->path, name, mapping->path_bytes) == 0;
}

/* Mappings come in ascending order. */
static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;
	uint64_t to = smaller(mapping->start, TOP);

	if (is_named(mapping, "[stack]")) {
		uint64_t most = smaller(search->wanted->stack_bytes, STACK_MOST_BYTES);

		to = less(smaller(to, less(mapping->end, most)), STACK_GUARD_BYTES);
	}
	if (to > search->last_end)
		try_gap(search, search->last_end, to);
	search->last_end = larger(search->last_end, mapping->end);
	if (is_named(mapping, "[heap]"))
		search->last_end += VMT_FREE_PLACE_BREAK_BYTES;
	return search->last_end < TOP;
}

int
vmt_free_place_read(int maps_fd, const struct vmt_free_place *wanted, uint64_t *address)
{
	struct search search = {.wanted = wanted, .last_end = UNIT};
	char buffer[VMT_PROCFS_LINE_BYTES];
	int result = vmt_procfs_walk_maps(maps_fd, buffer, sizeof(buffer), visit, &search);

	if (result < 0)
		return result;
	if (search.last_end < TOP)
		try_gap(&search, search.last_end, TOP);
	if (search.found == 0)
		return -ENOSPC;
	*address = search.found;
	return 0;
}

int
vmt_free_place_find(pid_t pid, uint64_t low, uint64_t high, uint64_t bytes, uint64_t *address)
{
	struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
	struct vmt_free_place wanted = {.low = low, .high = high, .bytes = bytes};
	int fd = vmt_procfs_open((uint32_t)pid, "maps");
	int result = fd;

	if (fd < 0)
		return result;
	(void)vmt_sys_call4(SYS_prlimit64, pid, RLIMIT_STACK, NULL, &limit);
	wanted.stack_bytes = limit.rlim_cur;
	result = vmt_free_place_read(fd, &wanted, address);
	vmt_sys_close(fd);
	return result;
}
