#include "tools/serve/quarantine.h"

#include "base/ticks.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* FNV-1a, 64 bits. */
#define HASH_BASIS UINT64_C(14695981039346656037)
#define HASH_PRIME UINT64_C(1099511628211)

struct file {
	uint64_t path_hash;
	uint64_t device;
	uint64_t inode;
};

struct left_out {
	struct file file;
	int64_t until_ns; /* by CLOCK_MONOTONIC; 0: none */
};

struct vmt_quarantine {
	atomic_bool is_read; /* one is read now; what stands below is whole then */
	int64_t since_ns;
	struct file file;
	char path[VMT_QUARANTINE_PATH_BYTES];
	struct left_out all[VMT_QUARANTINE_MOST];
};

struct vmt_quarantine *
vmt_quarantine_new(void)
{
	void *memory = mmap(NULL, sizeof(struct vmt_quarantine), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void
vmt_quarantine_free(struct vmt_quarantine *quarantine)
{
	if (quarantine)
		munmap(quarantine, sizeof(*quarantine));
}

static struct file
file_of(const char *path)
{
	struct file file = {.path_hash = HASH_BASIS};
	struct stat status;

	for (const char *at = path; *at; at++)
		file.path_hash = (file.path_hash ^ (unsigned char)*at) * HASH_PRIME;
	if (stat(path, &status) == 0) {
		file.device = status.st_dev;
		file.inode = status.st_ino;
	}
	return file;
}

static bool
is_same(const struct file *a, const struct file *b)
{
	return a->path_hash == b->path_hash && a->device == b->device && a->inode == b->inode;
}

static bool
is_left_out(const struct vmt_quarantine *quarantine, const struct file *file, int64_t now_ns)
{
	for (size_t i = 0; i < VMT_QUARANTINE_MOST; i++)
		if (quarantine->all[i].until_ns > now_ns && is_same(&quarantine->all[i].file, file))
			return true;
	return false;
}

bool
vmt_quarantine_enter(struct vmt_quarantine *quarantine, const char *path)
{
	struct file file = file_of(path);
	int64_t now_ns = (int64_t)vmt_ticks_monotonic_ns();

	if (is_left_out(quarantine, &file, now_ns))
		return false;
	quarantine->since_ns = now_ns;
	quarantine->file = file;
	strncpy(quarantine->path, path, sizeof(quarantine->path) - 1);
	atomic_store(&quarantine->is_read, true);
	return true;
}

void
vmt_quarantine_leave(struct vmt_quarantine *quarantine)
{
	atomic_store(&quarantine->is_read, false);
}

static void
copy_path(const struct vmt_quarantine *quarantine, char path[VMT_QUARANTINE_PATH_BYTES])
{
	memcpy(path, quarantine->path, VMT_QUARANTINE_PATH_BYTES);
	path[VMT_QUARANTINE_PATH_BYTES - 1] = '\0';
	for (char *at = path; *at; at++)
		if ((unsigned char)*at < ' ' || *at == '\x7f')
			*at = '?';
}

/* A place that is free, or whose time is over first. */
static struct left_out *
find_place(struct vmt_quarantine *quarantine)
{
	struct left_out *place = &quarantine->all[0];

	for (size_t i = 1; i < VMT_QUARANTINE_MOST; i++)
		if (quarantine->all[i].until_ns < place->until_ns)
			place = &quarantine->all[i];
	return place;
}

bool
vmt_quarantine_blame(struct vmt_quarantine *quarantine, int64_t least_ns,
		     char path[VMT_QUARANTINE_PATH_BYTES])
{
	int64_t now_ns = (int64_t)vmt_ticks_monotonic_ns();
	bool was_read = atomic_exchange(&quarantine->is_read, false);

	if (!was_read || quarantine->since_ns > now_ns || now_ns - quarantine->since_ns < least_ns)
		return false;
	*find_place(quarantine) =
	    (struct left_out){.file = quarantine->file, .until_ns = now_ns + VMT_QUARANTINE_NS};
	copy_path(quarantine, path);
	return true;
}
