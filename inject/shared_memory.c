#include "inject/shared_memory.h"

#include "base/listing.h"
#include "base/sys.h"

#include <fcntl.h>
#include <linux/kcmp.h>

#define ENTRIES_BYTES 8192u

/* Kernel threads have no memory, and an ended process has none left. */
static bool
shares_memory(pid_t pid, uint64_t other)
{
	return other != (uint64_t)pid &&
	       vmt_sys_call6(SYS_kcmp, pid, (long)other, KCMP_VM, 0, 0, 0) == 0;
}

static bool
search(pid_t pid, const char *bytes, long got)
{
	struct vmt_listing listing = {.bytes = bytes, .length = (size_t)got};
	uint64_t other;

	while (vmt_listing_next(&listing, &other))
		if (shares_memory(pid, other))
			return true;
	return false;
}

bool
vmt_shared_memory_is_there(pid_t pid)
{
	_Alignas(struct vmt_listing_entry) char bytes[ENTRIES_BYTES];
	int fd = vmt_sys_open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	bool found = false;
	long got;

	if (fd < 0)
		return false;
	while (!found && (got = vmt_sys_call3(SYS_getdents64, fd, bytes, sizeof(bytes))) > 0)
		found = search(pid, bytes, got);
	vmt_sys_close(fd);
	return found;
}
