#include "inject/free_place.h"

#include "base/procfs.h"
#include "base/sys.h"

#include <errno.h>

#define REACH_BYTES (UINT64_C(1) << 30) /* and the file itself is no longer than that */
#define GAP_BYTES (UINT64_C(64) << 10)	/* left free on both sides: a stack's guard, a break */

struct search {
	uint64_t low;
	uint64_t bytes;
	uint64_t last_end; /* of the mapping before */
	uint64_t found;	   /* 0: none yet */
};

/* Mappings come in ascending order: the last gap that is found is the nearest. */
static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;
	uint64_t needed = search->bytes + 2 * GAP_BYTES;

	if (mapping->start > search->low)
		return false;
	if (mapping->start > search->last_end && mapping->start - search->last_end >= needed)
		search->found = (mapping->start - GAP_BYTES - search->bytes) & ~(GAP_BYTES - 1);
	search->last_end = mapping->end;
	return true;
}

int
vmt_free_place_find(pid_t pid, uint64_t low, uint64_t high, uint64_t bytes, uint64_t *address)
{
	struct search search = {.low = low, .bytes = bytes, .last_end = GAP_BYTES};
	char buffer[VMT_PROCFS_LINE_BYTES];
	int fd = vmt_procfs_open((uint32_t)pid, "maps");
	int result = fd;

	if (fd < 0)
		return result;
	result = vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit, &search);
	vmt_sys_close(fd);
	if (result < 0)
		return result;
	if (search.found == 0 || high - search.found > REACH_BYTES)
		return -ENOMEM;
	*address = search.found;
	return 0;
}
