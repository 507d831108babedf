#include "preload/trace/unmap_files.h"

#include "base/procfs.h"
#include "base/roomy.h"
#include "base/sys.h"
#include "preload/trace/standalone_start.h"

#include <sys/prctl.h>

#define MAX_PASSES 64u

/* The linker's name for this library's first byte. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

struct release {
	uint64_t session;
	uint64_t inode; /* of the library's file, as maps names it */
	uint32_t device;
	uint32_t unmapped; /* in this pass */
};

static bool
holds(const struct vmt_mapping *mapping, uint64_t address)
{
	return address >= mapping->start && address < mapping->end;
}

static bool
find_library(void *context, const struct vmt_mapping *mapping)
{
	struct release *release = context;

	if (!holds(mapping, (uint64_t)(uintptr_t)__ehdr_start))
		return true;
	release->inode = mapping->inode;
	release->device = mapping->device;
	return false;
}

static bool
unmap_other(void *context, const struct vmt_mapping *mapping)
{
	struct release *release = context;

	if (mapping->inode == 0 || holds(mapping, release->session) ||
	    (mapping->inode == release->inode && mapping->device == release->device))
		return true;
	if (vmt_sys_munmap((void *)(uintptr_t)mapping->start, mapping->end - mapping->start) == 0)
		release->unmapped++;
	return true;
}

static bool
walk(struct release *release, bool (*visit)(void *, const struct vmt_mapping *))
{
	static VMT_ROOMY char buffer[VMT_PROCFS_LINE_BYTES];
	int fd = vmt_procfs_open(0, "maps");

	if (fd < 0)
		return false;
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit, release);
	vmt_sys_close(fd);
	return true;
}

/* The kernel refuses while anything of the former executable is mapped. */
static void
change_executable(const char *library)
{
	int fd = library[0] == '\0' ? -1 : vmt_sys_open(library, O_RDONLY, 0);

	if (fd < 0)
		return;
	vmt_sys_call6(SYS_prctl, PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0, 0);
	vmt_sys_close(fd);
}

/* False: it is not known which files are to stay. */
static bool
begin(struct release *release, const struct vmt_session *session)
{
	*release = (struct release){.session = (uint64_t)(uintptr_t)session};
	return walk(release, find_library) && release->inode != 0;
}

/* Unmapping while the list is read may hide lines of it. */
static void
unmap_others(struct release *release)
{
	for (uint32_t pass = 0; pass < MAX_PASSES; pass++) {
		release->unmapped = 0;
		if (!walk(release, unmap_other) || release->unmapped == 0)
			break;
	}
}

void
vmt_unmap_files_all(const struct vmt_session *session, const char *library)
{
	struct release release;

	if (!begin(&release, session) || !vmt_standalone_rebind())
		return;
	unmap_others(&release);
	change_executable(library);
}

void
vmt_unmap_files_beside(const struct vmt_session *session)
{
	struct release release;

	if (begin(&release, session))
		unmap_others(&release);
}
