#include "tools/read/trace/file_reader.h"

#include "tools/read/trace/expanded.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CACHE_LINE 64u
#define PAUSE_NS 1000000
#define TRIES 1000u
/* A file can be all hole, and claim a table of any size in it. */
#define LARGE_BYTES (UINT64_C(1) << 16)
#define SPARSE_STEP_BYTES (UINT64_C(1) << 20)

static int
check_kind(struct vmt_file_reader *file, struct vmt_err *err)
{
	struct stat found;

	if (fstat(file->fd, &found) != 0)
		return vmt_err_set(err, errno, "%s: %s", file->path, strerror(errno));
	if (S_ISDIR(found.st_mode))
		return vmt_err_set(err, EISDIR, "%s: is a directory, not a trace", file->path);
	if (!S_ISREG(found.st_mode))
		return vmt_err_set(err, ENOTSUP, "%s: is not a regular file", file->path);
	if (found.st_size <= 0)
		return vmt_err_set(err, ENODATA, "%s: is empty: no recording was started in it",
				   file->path);
	file->bytes = (uint64_t)found.st_size;
	return 0;
}

/* A collector that makes a finished trace smaller keeps others out for less than a millisecond. */
static int
open_now(const char *path)
{
	const struct timespec pause = {0, PAUSE_NS};
	int fd;

	for (unsigned tries = 0; tries < TRIES; tries++) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd >= 0 || errno != EWOULDBLOCK)
			return fd;
		nanosleep(&pause, NULL);
	}
	errno = EWOULDBLOCK;
	return -1;
}

int
vmt_file_reader_open(struct vmt_file_reader *file, const char *path, struct vmt_err *err)
{
	int result;

	*file = (struct vmt_file_reader){.fd = -1};
	file->path = strdup(path);
	file->window = malloc(VMT_FILE_READER_WINDOW_BYTES);
	if (file->path == NULL || file->window == NULL) {
		result = vmt_err_set(err, ENOMEM, "%s: out of memory", path);
		goto out;
	}
	file->fd = open_now(path);
	if (file->fd < 0)
		result = vmt_err_set(err, errno, "%s: %s", path, strerror(errno));
	else
		result = check_kind(file, err);
	if (result == 0)
		result = vmt_expanded_open(&file->fd, path, &file->was_compressed, err);
	if (result == 0 && file->was_compressed)
		result = check_kind(file, err);
out:
	if (result != 0)
		vmt_file_reader_close(file);
	return result;
}

void
vmt_file_reader_close(struct vmt_file_reader *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file->window);
	*file = (struct vmt_file_reader){.fd = -1};
}

void
vmt_file_reader_refresh(struct vmt_file_reader *file)
{
	struct stat found;

	if (fstat(file->fd, &found) == 0 && found.st_size > 0)
		file->bytes = (uint64_t)found.st_size;
	file->window_bytes = 0;
}

bool
vmt_file_reader_was_replaced(const struct vmt_file_reader *file)
{
	struct stat here;
	struct stat open;

	if (file->was_compressed)
		return false;
	return stat(file->path, &here) != 0 || fstat(file->fd, &open) != 0 ||
	       here.st_dev != open.st_dev || here.st_ino != open.st_ino;
}

/* Bytes read, fewer than length at the end of the file or on an error. */
static size_t
read_some(const struct vmt_file_reader *file, uint64_t offset, void *bytes, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t got =
		    pread(file->fd, (char *)bytes + done, length - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

bool
vmt_file_reader_read(const struct vmt_file_reader *file, uint64_t offset, void *bytes,
		     size_t length)
{
	if (offset > file->bytes || length > file->bytes - offset)
		return false;
	return read_some(file, offset, bytes, length) == length;
}

/* Where the next data (SEEK_DATA) or the next hole (SEEK_HOLE) begins, end at most. A file system
 * that does not know says data everywhere. */
static uint64_t
next_place(const struct vmt_file_reader *file, uint64_t offset, uint64_t end, int whence)
{
	off_t found = lseek(file->fd, (off_t)offset, whence);

	if (found < 0)
		return errno == ENXIO || whence == SEEK_HOLE ? end : offset;
	return (uint64_t)found < end ? (uint64_t)found : end;
}

static bool
read_pieces(const struct vmt_file_reader *file, uint64_t offset, char *bytes, uint64_t end)
{
	uint64_t at = offset;

	while ((at = next_place(file, at, end, SEEK_DATA)) < end) {
		uint64_t stop = next_place(file, at, end, SEEK_HOLE);
		size_t piece = stop - at < SPARSE_STEP_BYTES ? stop - at : SPARSE_STEP_BYTES;

		if (piece == 0 || !vmt_file_reader_read(file, at, bytes + (at - offset), piece))
			return false;
		at += piece;
	}
	return true;
}

/* Into memory that is zero; holes are left alone, and cost no memory. The kernel's readahead would
 * fill pages with their zeros: half of all time that recording a short program takes. */
static bool
read_sparse(const struct vmt_file_reader *file, uint64_t offset, char *bytes, uint64_t length)
{
	bool whole;

	(void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_RANDOM);
	whole = read_pieces(file, offset, bytes, offset + length);
	(void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_NORMAL);
	return whole;
}

void *
vmt_file_reader_copy(const struct vmt_file_reader *file, uint64_t offset, uint64_t length,
		     struct vmt_err *err)
{
	void *bytes;

	if (offset > file->bytes || length > file->bytes - offset) {
		vmt_err_set(err, EBADMSG, "%s: refers to bytes past its end", file->path);
		return NULL;
	}
	if (length < LARGE_BYTES)
		bytes =
		    aligned_alloc(CACHE_LINE, (length + CACHE_LINE) & ~(uint64_t)(CACHE_LINE - 1));
	else
		bytes = calloc(1, length);
	if (bytes == NULL) {
		vmt_err_set(err, ENOMEM, "%s: no memory for %llu bytes of it", file->path,
			    (unsigned long long)length);
		return NULL;
	}
	if (length < LARGE_BYTES ? !vmt_file_reader_read(file, offset, bytes, length)
				 : !read_sparse(file, offset, bytes, length)) {
		vmt_err_set(err, EIO, "%s: can't be read (did it shrink meanwhile?)", file->path);
		free(bytes);
		return NULL;
	}
	return bytes;
}

const unsigned char *
vmt_file_reader_peek(struct vmt_file_reader *file, uint64_t offset, size_t wanted, size_t *length)
{
	uint64_t left = offset < file->bytes ? file->bytes - offset : 0;
	uint64_t skip = offset - file->window_offset;

	assert(wanted > 0);
	if (wanted > left)
		wanted = left;
	if (wanted > VMT_FILE_READER_WINDOW_BYTES)
		wanted = VMT_FILE_READER_WINDOW_BYTES;
	if (offset < file->window_offset || skip > file->window_bytes ||
	    wanted > file->window_bytes - skip) {
		size_t fill =
		    left < VMT_FILE_READER_WINDOW_BYTES ? left : VMT_FILE_READER_WINDOW_BYTES;

		file->window_offset = offset;
		file->window_bytes = read_some(file, offset, file->window, fill);
		skip = 0;
	}
	*length = file->window_bytes - skip < wanted ? file->window_bytes - skip : wanted;
	return *length > 0 ? file->window + skip : NULL;
}
