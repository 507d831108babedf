#include "tools/model/attribute/files.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct vmt_files {
	struct vmt_file_reader *rows;
	size_t count;
	size_t room;
	uint32_t *index; /* open addressing: row + 1; 0 = empty */
	size_t index_mask;
};

static bool
begins(const struct vmt_mapping *mapping, const char *prefix)
{
	size_t length = strlen(prefix);

	return mapping->path_bytes >= length && memcmp(mapping->path, prefix, length) == 0;
}

static enum vmt_backing
backing_of_bracket(const struct vmt_mapping *mapping)
{
	if (begins(mapping, "[heap]"))
		return VMT_BACKING_HEAP;
	if (begins(mapping, "[stack"))
		return VMT_BACKING_STACK;
	if (begins(mapping, "[anon_shmem"))
		return VMT_BACKING_SHARED;
	if (begins(mapping, "[anon"))
		return VMT_BACKING_ANONYMOUS;
	return begins(mapping, "[vsyscall]") ? VMT_BACKING_VSYSCALL : VMT_BACKING_KERNEL;
}

enum vmt_backing
vmt_files_backing(const struct vmt_mapping *mapping)
{
	enum vmt_backing nameless = mapping->shared ? VMT_BACKING_SHARED : VMT_BACKING_ANONYMOUS;

	if (!mapping->path_bytes)
		return nameless;
	if (mapping->path[0] == '[')
		return backing_of_bracket(mapping);
	if (begins(mapping, "/dev/zero") || begins(mapping, "/anon_hugepage"))
		return nameless;
	if (begins(mapping, "/memfd:") || begins(mapping, "/SYSV") || begins(mapping, "/dev/shm/"))
		return VMT_BACKING_SHARED;
	return VMT_BACKING_FILE;
}

struct vmt_files *
vmt_files_new(void)
{
	return calloc(1, sizeof(struct vmt_files));
}

void
vmt_files_free(struct vmt_files *files)
{
	if (!files)
		return;
	free(files->rows);
	free(files->index);
	free(files);
}

/* FNV-1a, 64 bits. */
static uint64_t
hash_of(const char *path, uint16_t path_bytes)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (uint16_t i = 0; i < path_bytes; i++)
		hash = (hash ^ (unsigned char)path[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

static uint32_t *
entry_of(const struct vmt_files *files, const char *path, uint16_t path_bytes)
{
	size_t slot = hash_of(path, path_bytes) & files->index_mask;

	for (;; slot = (slot + 1) & files->index_mask) {
		uint32_t *entry = &files->index[slot];

		if (!*entry || (files->rows[*entry - 1].path_bytes == path_bytes &&
				memcmp(files->rows[*entry - 1].path, path, path_bytes) == 0))
			return entry;
	}
}

static bool
grow(struct vmt_files *files)
{
	size_t room = files->room ? files->room * 2 : 64;
	struct vmt_file_reader *rows = reallocarray(files->rows, room, sizeof(*rows));
	uint32_t *index;

	if (!rows)
		return false;
	files->rows = rows;
	index = calloc(room * 2, sizeof(*index));
	if (!index)
		return false;
	free(files->index);
	files->index = index;
	files->index_mask = room * 2 - 1;
	files->room = room;
	for (uint32_t i = 0; i < files->count; i++)
		*entry_of(files, rows[i].path, rows[i].path_bytes) = i + 1;
	return true;
}

struct vmt_file_reader *
vmt_files_find(const struct vmt_files *files, const char *path, uint16_t path_bytes)
{
	uint32_t entry = files->count ? *entry_of(files, path, path_bytes) : 0;

	return entry ? &files->rows[entry - 1] : NULL;
}

struct vmt_file_reader *
vmt_files_intern(struct vmt_files *files, const char *path, uint16_t path_bytes)
{
	struct vmt_file_reader *row = vmt_files_find(files, path, path_bytes);

	if (row)
		return row;
	if (files->count == files->room && !grow(files))
		return NULL;
	assert(files->rows && files->count < files->room);
	*entry_of(files, path, path_bytes) = (uint32_t)files->count + 1;
	row = &files->rows[files->count++];
	*row = (struct vmt_file_reader){.path = path, .path_bytes = path_bytes};
	return row;
}

const struct vmt_file_reader *
vmt_files_rows(const struct vmt_files *files, size_t *count)
{
	*count = files->count;
	return files->rows;
}
