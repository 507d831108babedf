#include "collect/address_space.h"

#include "base/procfs.h"
#include "base/sys.h"

#include <string.h>

/* A mapping of one file, as maps names it: fstat's device is another on some file systems. */
struct sought {
	uint64_t address; /* 0: any */
	uint64_t inode;
	uint32_t device;
	bool found;
	bool any; /* maps showed something */
};

static bool
find_by_address(void *context, const struct vmt_mapping *mapping)
{
	struct sought *sought = context;

	if (sought->address < mapping->start || sought->address >= mapping->end)
		return true;
	sought->inode = mapping->inode;
	sought->device = mapping->device;
	sought->found = true;
	return false;
}

static bool
find_by_file(void *context, const struct vmt_mapping *mapping)
{
	struct sought *sought = context;

	sought->any = true;
	sought->found =
	    mapping->shared && mapping->inode == sought->inode && mapping->device == sought->device;
	return !sought->found;
}

static void
walk(int fd, bool (*visit)(void *, const struct vmt_mapping *), struct sought *sought)
{
	char buffer[VMT_PROCFS_LINE_BYTES];

	vmt_sys_call3(SYS_lseek, fd, 0, SEEK_SET);
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit, sought);
}

/* How the kernel names the trace's file: as it does in this process, which has mapped it. */
static bool
name_trace(const struct vmt_traced *process, struct sought *sought)
{
	int fd = vmt_procfs_open(0, "maps");

	*sought = (struct sought){.address = (uint64_t)(uintptr_t)process->base};
	if (fd < 0)
		return false;
	walk(fd, find_by_address, sought);
	vmt_sys_close(fd);
	if (!sought->found)
		return false;
	sought->found = false;
	return true;
}

/* The first process's may have come with the collector: of this trace, as an earlier image's show
 * another address space. They were opened while its image waited for the collector. */
static bool
take_watch(struct vmt_traced *process, const struct vmt_shared *shared)
{
	struct vmt_procfs_watch *watch = shared->host->first_watch;

	if (!watch || process->random_id != shared->host->first_random_id)
		return false;
	process->stat_fd = watch->stat_fd;
	process->pidfd = watch->pidfd;
	process->maps_fd = watch->maps_fd;
	process->pagemap_fd = watch->pagemap_fd;
	process->statm_fd = watch->statm_fd;
	process->rollup_fd = watch->rollup_fd;
	process->stack_start = watch->stack_start;
	process->vouched_for = watch->maps_fd >= 0;
	*watch = (struct vmt_procfs_watch){-1, -1, -1, -1, -1, -1, 0};
	return true;
}

void
vmt_address_space_open(struct vmt_traced *process, const struct vmt_shared *shared)
{
	struct vmt_procfs_stat stat;
	uint32_t pid = process->pid;
	bool taken = take_watch(process, shared);

	if (!taken)
		process->stat_fd = vmt_procfs_open(pid, "stat");
	memcpy(process->name, process->layout.name, sizeof(process->name));
	if (process->stat_fd >= 0 && vmt_procfs_read_stat(process->stat_fd, &stat)) {
		if (process->stack_start == 0)
			process->stack_start = stat.stack_start;
		if (process->name[0] == '\0')
			memcpy(process->name, stat.name, sizeof(process->name));
	}
	if (!taken) {
		process->pidfd = (int)vmt_sys_call2(SYS_pidfd_open, pid, 0);
		process->maps_fd = vmt_procfs_open(pid, "maps");
		process->pagemap_fd = vmt_procfs_open(pid, "pagemap");
		process->statm_fd = vmt_procfs_open(pid, "statm");
		process->rollup_fd = vmt_procfs_open(pid, "smaps_rollup");
	}
	process->traceable = process->maps_fd >= 0;
}

static bool
has_other_stack(const struct vmt_traced *process, const struct vmt_procfs_stat *stat)
{
	return stat->stack_start != 0 && process->stack_start != 0 &&
	       stat->stack_start != process->stack_start;
}

/* What stat said just before, when it was the image's address space that maps shows. */
static bool
is_still(struct vmt_traced *process, const struct vmt_procfs_stat *stat)
{
	if (has_other_stack(process, stat) || !vmt_procfs_is_mapped(process->maps_fd))
		return false;
	memcpy(process->name, stat->name, sizeof(process->name));
	return true;
}

bool
vmt_address_space_is_there(struct vmt_traced *process)
{
	const struct vmt_head *head = vmt_process_head(process);
	struct vmt_procfs_stat stat;

	if (process->maps_fd < 0)
		return vmt_atomic_load_acquire(&head->end) != VMT_END_EXEC;
	return process->stat_fd >= 0 && vmt_procfs_read_stat(process->stat_fd, &stat) &&
	       is_still(process, &stat);
}

/* Once it was checked that maps shows the image, an exec takes that away. */
bool
vmt_address_space_is_mapped(struct vmt_traced *process)
{
	return process->maps_fd >= 0 ? vmt_procfs_is_mapped(process->maps_fd)
				     : vmt_address_space_is_there(process);
}

bool
vmt_address_space_device(const struct vmt_traced *process, uint32_t *device)
{
	struct sought sought;

	if (!name_trace(process, &sought))
		return false;
	*device = sought.device;
	return true;
}

bool
vmt_address_space_has_trace_of(const struct vmt_traced *process, const struct vmt_traced *other)
{
	struct sought sought;

	if (!name_trace(other, &sought))
		return false;
	walk(process->maps_fd, find_by_file, &sought);
	return sought.found;
}

bool
vmt_address_space_check(struct vmt_traced *process, const struct vmt_procfs_stat *stat)
{
	const uint32_t *end = &vmt_process_head(process)->end;
	struct sought sought = {.found = process->vouched_for, .any = true};

	if (vmt_atomic_load_acquire(end) == VMT_END_STOPPED || process->maps_fd < 0)
		return true;
	if (!process->vouched_for) {
		if (!name_trace(process, &sought))
			return true;
		walk(process->maps_fd, find_by_file, &sought);
	}
	/* All of it was opened between the first look at stat and this one. */
	if (sought.found && is_still(process, stat))
		return true;
	/* One that gives its recording up says so before it unmaps the trace. */
	if (vmt_atomic_load_acquire(end) == VMT_END_STOPPED)
		return true;
	vmt_address_space_close(process);
	return sought.found || !sought.any;
}

/* A process on its way out has no address space at all. */
bool
vmt_address_space_is_replaced(const struct vmt_traced *process)
{
	struct vmt_procfs_statm statm;
	struct vmt_procfs_stat stat;

	if (process->maps_fd < 0 || process->statm_fd < 0 || process->stat_fd < 0)
		return false;
	if (vmt_procfs_is_mapped(process->maps_fd) &&
	    (!vmt_procfs_read_stat(process->stat_fd, &stat) || !has_other_stack(process, &stat)))
		return false;
	return vmt_procfs_read_statm(process->statm_fd, &statm) && statm.virtual_pages > 0;
}

enum vmt_same_name
vmt_address_space_compare_name(const struct vmt_traced *process)
{
	struct vmt_procfs_stat stat;

	if (process->name[0] == '\0' || process->stat_fd < 0 ||
	    !vmt_procfs_read_stat(process->stat_fd, &stat))
		return VMT_NAME_UNKNOWN;
	return memcmp(stat.name, process->name, sizeof(process->name)) == 0 ? VMT_NAME_SAME
									    : VMT_NAME_OTHER;
}

static void
close_one(int *fd)
{
	if (*fd >= 0)
		vmt_sys_close(*fd);
	*fd = -1;
}

void
vmt_address_space_close(struct vmt_traced *process)
{
	close_one(&process->maps_fd);
	close_one(&process->pagemap_fd);
	close_one(&process->statm_fd);
	close_one(&process->rollup_fd);
}
