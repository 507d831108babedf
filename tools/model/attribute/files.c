#include "tools/model/attribute/files.h"

#include <stdlib.h>
#include <string.h>

struct vmt_files {
	struct vmt_mapped_file *rows;
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
	if (files)
		VMT_HASH_TABLE_FREE(struct vmt_mapped_file, files->rows, free);
	free(files);
}

struct vmt_mapped_file *
vmt_files_find(const struct vmt_files *files, const char *path, uint16_t path_bytes)
{
	struct vmt_mapped_file *row;

	HASH_FIND(hh, files->rows, path, path_bytes, row);
	return row;
}

struct vmt_mapped_file *
vmt_files_intern(struct vmt_files *files, const char *path, uint16_t path_bytes)
{
	struct vmt_mapped_file *row = vmt_files_find(files, path, path_bytes);

	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->path = path;
	row->path_bytes = path_bytes;
	HASH_ADD_KEYPTR(hh, files->rows, path, path_bytes, row);
	if (row->hh.tbl)
		return row;
	free(row);
	return NULL;
}

const struct vmt_mapped_file *
vmt_files_rows(const struct vmt_files *files)
{
	return files->rows;
}
