#include "inject/program_start.h"

#include "base/procfs.h"
#include "base/sys.h"

#include <elf.h>
#include <errno.h>

#define ENTRIES 64u
#define HWCAP2_FSGSBASE 2u /* arch/x86/include/uapi/asm/hwcap2.h */

static void
take(struct vmt_program_start *start, uint64_t type, uint64_t value)
{
	switch (type) {
	case AT_PHDR:
		start->program_headers = value;
		break;
	case AT_PAGESZ:
		start->page_bytes = (uint32_t)value;
		break;
	case AT_EXECFN:
		start->executed = value;
		break;
	case AT_BASE:
		start->loader = value;
		break;
	case AT_HWCAP2:
		start->reads_thread_base = (value & HWCAP2_FSGSBASE) != 0;
		break;
	case AT_SECURE:
		start->is_secure = value != 0;
		break;
	default:
		break;
	}
}

int
vmt_program_start_read(struct vmt_program_start *start, pid_t pid)
{
	uint64_t entries[2 * ENTRIES] = {0};
	int fd = vmt_procfs_open((uint32_t)pid, "auxv");
	long bytes = fd < 0 ? fd : vmt_procfs_read(fd, (char *)entries, sizeof(entries));

	if (fd >= 0)
		vmt_sys_close(fd);
	*start = (struct vmt_program_start){.page_bytes = 0};
	if (bytes < 0)
		return (int)bytes;
	for (uint32_t i = 0; i + 1 < (uint64_t)bytes / 8; i += 2)
		take(start, entries[i], entries[i + 1]);
	return start->page_bytes != 0 ? 0 : -ENOEXEC;
}
