#include "tools/cmd/trace_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool
vmt_trace_files_is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool
is_named_as_trace(const char *name)
{
	static const char *const ends[] = {".vmt", ".vmt.gz", ".vmt.zst"};
	size_t length = strlen(name);
	bool found = false;

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t end = strlen(ends[i]);

		found |= length > end && strcmp(name + length - end, ends[i]) == 0;
	}
	return found && name[0] != '.';
}

static bool
has_room(struct vmt_trace_files *files)
{
	size_t room = files->room ? files->room * 2 : 64;
	struct vmt_tree_file *all;

	if (files->count < files->room)
		return true;
	all = realloc(files->all, room * sizeof(*all));
	if (!all)
		return false;
	files->all = all;
	files->room = room;
	return true;
}

static int
add(struct vmt_trace_files *files, const char *path, const char *name, struct vmt_err *err)
{
	struct vmt_tree_file file;

	if (files->count >= files->most) {
		files->passed_over++;
		return 0;
	}
	file = (struct vmt_tree_file){.path = strdup(path), .name = strdup(name)};
	if (file.path && file.name && has_room(files)) {
		files->all[files->count++] = file;
		return 0;
	}
	free(file.path);
	free(file.name);
	return vmt_err_set(err, ENOMEM, "%s: out of memory", path);
}

/* name_of_one: whether the names of its traces alone tell them apart. */
static int
add_directory(struct vmt_trace_files *files, const char *directory, bool is_only,
	      struct vmt_err *err)
{
	DIR *open = opendir(directory);
	size_t before = files->count + files->passed_over;
	const struct dirent *entry;
	char path[4096];
	int result = 0;

	if (!open)
		return vmt_err_set(err, errno, "%s: %s", directory, strerror(errno));
	while (result == 0 && (entry = readdir(open)) != NULL) {
		int length = snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);

		if (is_named_as_trace(entry->d_name) && length > 0 && (size_t)length < sizeof(path))
			result = add(files, path, is_only ? entry->d_name : path, err);
	}
	closedir(open);
	if (result == 0 && files->count + files->passed_over == before)
		return vmt_err_set(err, ENOENT, "%s: is a directory without a trace (*.vmt)",
				   directory);
	return result;
}

static int
by_name(const void *left, const void *right)
{
	const struct vmt_tree_file *a = left;
	const struct vmt_tree_file *b = right;

	return strcmp(a->path, b->path);
}

/* What is named twice is one file. */
static void
drop_doubles(struct vmt_trace_files *files)
{
	size_t kept = 0;

	if (files->count == 0)
		return;
	qsort(files->all, files->count, sizeof(*files->all), by_name);
	for (size_t i = 1; i < files->count; i++) {
		if (strcmp(files->all[kept].path, files->all[i].path) != 0) {
			files->all[++kept] = files->all[i];
			continue;
		}
		free(files->all[i].path);
		free(files->all[i].name);
	}
	files->count = kept + 1;
}

int
vmt_trace_files_find(struct vmt_trace_files *files, char *const *operands, int count, size_t most,
		     struct vmt_err *err)
{
	int result = 0;

	*files = (struct vmt_trace_files){.most = most};
	for (int i = 0; i < count && result == 0; i++) {
		if (vmt_trace_files_is_directory(operands[i]))
			result = add_directory(files, operands[i], count == 1, err);
		else
			result = add(files, operands[i], operands[i], err);
	}
	drop_doubles(files);
	return result;
}

void
vmt_trace_files_free(struct vmt_trace_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->all[i].path);
		free(files->all[i].name);
	}
	free(files->all);
}
