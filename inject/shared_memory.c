#include "inject/shared_memory.h"

#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"

#include <fcntl.h>
#include <linux/kcmp.h>

#define ENTRIES_BYTES 8192u

/* struct linux_dirent64 of include/linux/dirent.h */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

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
	for (long at = 0; at < got;) {
		const struct entry *entry = (const struct entry *)(const void *)(bytes + at);
		struct vmt_text name = vmt_text_of(entry->name, vmt_text_string_bytes(entry->name));
		uint64_t other = 0;

		if (vmt_text_take_decimal(&name, &other) && shares_memory(pid, other))
			return true;
		at += entry->bytes;
	}
	return false;
}

bool
vmt_shared_memory_is_there(pid_t pid)
{
	_Alignas(struct entry) char bytes[ENTRIES_BYTES];
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
