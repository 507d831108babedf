#include "inject/session_member.h"

#include "base/procfs.h"
#include "base/roomy.h"
#include "base/sys.h"

struct search {
	uint64_t session; /* its address here */
	uint64_t inode;	  /* of its file; 0 = not known */
	uint32_t device;
	bool is_found;
};

static bool
find_here(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;

	if (search->session < mapping->start || search->session >= mapping->end)
		return true;
	search->inode = mapping->inode;
	search->device = mapping->device;
	return false;
}

static bool
find_there(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;

	search->is_found =
	    mapping->inode == search->inode && mapping->device == search->device && mapping->shared;
	return !search->is_found;
}

static void
walk(struct search *search, pid_t pid, bool (*visit)(void *, const struct vmt_mapping *))
{
	static VMT_ROOMY char buffer[VMT_PROCFS_LINE_BYTES];
	int fd = vmt_procfs_open((uint32_t)pid, "maps");

	if (fd < 0)
		return;
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit, search);
	vmt_sys_close(fd);
}

bool
vmt_session_member_is(const struct vmt_session *session, pid_t pid)
{
	struct search search = {.session = (uint64_t)(uintptr_t)session};

	walk(&search, 0, find_here);
	if (search.inode != 0)
		walk(&search, pid, find_there);
	return search.is_found;
}
