#include "tools/cmd/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
refuse_inputs(const char *path, const char *const *inputs, const struct stat *place,
	      struct vmt_err *err)
{
	struct stat input;

	for (; *inputs; inputs++)
		if (stat(*inputs, &input) == 0 && input.st_dev == place->st_dev &&
		    input.st_ino == place->st_ino)
			return vmt_err_set(err, EEXIST, "%s: is what is read; name another output",
					   path);
	return 0;
}

static int
can_not_write(const char *path, int code, struct vmt_err *err)
{
	return vmt_err_set(err, code, "can't write %s: %s", path, strerror(code));
}

/* A name beside path that nothing has yet. */
static void
name_beside(struct vmt_output *output, unsigned attempt)
{
	snprintf(output->beside, sizeof(output->beside), "%s.%06x", output->path,
		 ((unsigned)getpid() * 31 + attempt) & 0xffffff);
}

#define ATTEMPTS 1000u

static int
open_beside(struct vmt_output *output, unsigned mode)
{
	int fd = -1;

	for (unsigned i = 0; i < ATTEMPTS; i++) {
		name_beside(output, i);
		fd = open(output->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	return fd;
}

static int
open_nameless(struct vmt_output *output, unsigned mode)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(output->path, '/');
	size_t length = slash == output->path ? 1 : slash ? (size_t)(slash - output->path) : 0;
	int fd;

	snprintf(directory, sizeof(directory), "%.*s", (int)length, output->path);
	fd = open(length ? directory : ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
	output->is_nameless = fd >= 0;
	return fd;
}

/* Who may read what was there, may read the new one, and nobody else. Without its group, the new
 * one is for no group. */
static int
keep_rights(int fd, const struct stat *old, bool keeps_owner)
{
	mode_t mode = old->st_mode & 0777;
	struct stat now;

	if (fstat(fd, &now) < 0)
		return -errno;
	if ((now.st_uid != old->st_uid || now.st_gid != old->st_gid) &&
	    fchown(fd, old->st_uid, old->st_gid) < 0) {
		if (keeps_owner)
			return -errno;
		if (fchown(fd, (uid_t)-1, old->st_gid) < 0)
			mode &= ~(mode_t)070;
	}
	return fchmod(fd, mode) < 0 && keeps_owner ? -errno : 0;
}

/* The file's place is taken where it has a name at last. */
static int
open_new(struct vmt_output *output, const struct stat *old, bool keeps_owner)
{
	unsigned mode = old || keeps_owner ? 0600 : 0666;
	int fd = open_nameless(output, mode);
	int result;

	if (fd < 0)
		fd = open_beside(output, mode);
	result = fd >= 0 && old ? keep_rights(fd, old, keeps_owner) : 0;
	if (result == 0)
		return fd;
	close(fd);
	if (output->beside[0])
		unlink(output->beside);
	errno = -result;
	return -1;
}

int
vmt_output_open(struct vmt_output *output, const char *path, bool is_binary, bool keeps_owner,
		const char *const *inputs, struct vmt_err *err)
{
	struct stat place;
	bool exists;
	int fd;

	*output = (struct vmt_output){.file = stdout, .is_stdout = true};
	if (!path || strcmp(path, "-") == 0)
		return is_binary && isatty(STDOUT_FILENO)
			   ? vmt_err_set(err, ENOTTY,
					 "this format is not for a terminal: name a file by -o")
			   : 0;
	output->is_stdout = false;
	exists = stat(path, &place) == 0;
	if (exists && refuse_inputs(path, inputs, &place, err) < 0)
		return -EEXIST;
	if (exists && !S_ISREG(place.st_mode)) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
	} else {
		/* A link stays one: what it names gets another content. */
		if (!exists || !realpath(path, output->path))
			snprintf(output->path, sizeof(output->path), "%s", path);
		fd = open_new(output, exists ? &place : NULL, keeps_owner);
	}
	output->file = fd < 0 ? NULL : fdopen(fd, "w");
	return output->file ? 0 : can_not_write(path, errno, err);
}

/* Gives the written file its name. */
static int
take_place(struct vmt_output *output)
{
	char own[64];
	int result = output->is_nameless ? -1 : 0;

	snprintf(own, sizeof(own), "/proc/self/fd/%d", fileno(output->file));
	for (unsigned i = 0; result < 0 && i < ATTEMPTS; i++) {
		name_beside(output, i);
		result = linkat(AT_FDCWD, own, AT_FDCWD, output->beside, AT_SYMLINK_FOLLOW);
		if (result < 0 && errno != EEXIST)
			return -errno;
	}
	return result < 0 || rename(output->beside, output->path) < 0 ? -errno : 0;
}

/* All that is buffered is in the file, or why not. */
static int
flush(FILE *file)
{
	errno = 0;
	if (fflush(file) == 0 && !ferror(file))
		return 0;
	return errno ? -errno : -EIO;
}

/* What was written gets its name; else nothing of it stays. */
static int
settle(struct vmt_output *output, bool is_whole)
{
	int result = is_whole ? flush(output->file) : 0;

	if (!output->path[0])
		return result;
	if (is_whole && result == 0)
		result = take_place(output);
	if (output->beside[0] && (!is_whole || result < 0))
		unlink(output->beside);
	return result;
}

int
vmt_output_close(struct vmt_output *output, int result, struct vmt_err *err)
{
	int settled;

	if (output->is_stdout)
		return result;
	settled = settle(output, result >= 0);
	fclose(output->file);
	if (settled < 0)
		return can_not_write(output->path[0] ? output->path : "the output", -settled, err);
	return result;
}
