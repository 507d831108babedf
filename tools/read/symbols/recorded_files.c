#include "tools/read/symbols/recorded_files.h"

#include "base/procfs.h"
#include "tools/hash_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct key {
	uint64_t device;
	uint64_t inode;
};

struct file {
	UT_hash_handle hh;
	struct key key;
};

struct vmt_recorded_files {
	uint64_t start_unix_ns;
	struct file *files;
};

struct vmt_recorded_files *
vmt_recorded_files_new(uint64_t start_unix_ns)
{
	struct vmt_recorded_files *files = calloc(1, sizeof(*files));

	if (files)
		files->start_unix_ns = start_unix_ns;
	return files;
}

static void
free_file(struct file *file)
{
	free(file);
}

void
vmt_recorded_files_free(struct vmt_recorded_files *files)
{
	if (files)
		VMT_HASH_TABLE_FREE(struct file, files->files, free_file);
	free(files);
}

static const struct file *
find(const struct vmt_recorded_files *files, const struct key *key)
{
	struct file *found;

	HASH_FIND(hh, files->files, key, sizeof(*key), found);
	return found;
}

int
vmt_recorded_files_add(struct vmt_recorded_files *files, uint32_t device, uint64_t inode)
{
	struct key key = {device, inode};
	struct file *file;

	if (find(files, &key) || HASH_COUNT(files->files) >= VMT_RECORDED_FILES_MAX)
		return 0;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->key = key;
	HASH_ADD(hh, files->files, key, sizeof(file->key), file);
	if (file->hh.tbl)
		return 0;
	free(file);
	return -ENOMEM;
}

struct search {
	uint64_t address;
	struct key found;
	bool is_found;
};

static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;

	if (search->address < mapping->start || search->address >= mapping->end)
		return true;
	search->found = (struct key){mapping->device, mapping->inode};
	search->is_found = true;
	return false;
}

/* As maps has it: on btrfs and overlayfs fstat says another device. So it is mapped, and looked
 * up. */
static bool
identify(int fd, struct key *key)
{
	static char buffer[2 * VMT_PROCFS_LINE_BYTES];
	void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
	struct search search = {.address = (uint64_t)(uintptr_t)page};
	int maps;

	if (page == MAP_FAILED)
		return false;
	maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (maps >= 0) {
		(void)vmt_procfs_walk_maps(maps, buffer, sizeof(buffer), visit, &search);
		close(maps);
	}
	munmap(page, 1);
	*key = search.found;
	return search.is_found;
}

bool
vmt_recorded_files_has(const struct vmt_recorded_files *files, int fd)
{
	struct stat status;
	struct key key;

	if (fstat(fd, &status) != 0 || status.st_ctim.tv_sec < 0)
		return false;
	if ((uint64_t)status.st_ctim.tv_sec * 1000000000u + (uint64_t)status.st_ctim.tv_nsec >
	    files->start_unix_ns)
		return false;
	return identify(fd, &key) && find(files, &key);
}
