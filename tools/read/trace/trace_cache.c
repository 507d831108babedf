#include "tools/read/trace/trace_cache.h"

#include "base/elf_headers.h"
#include "format/checksum.h"
#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/zstd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x3165686361436d56) /* VmCache1 */
#define SUFFIX ".digest"
#define NAME_BYTES 64u
#define SETTLED_NS 100000000 /* many ticks of a file system's clock */

/* All of it must be as it is when the file is read, but for the last three. */
struct header {
	uint64_t magic;
	unsigned char build_id[VMT_ELF_HEADERS_BUILD_ID_BYTES];
	uint64_t device;
	uint64_t inode;
	uint64_t bytes;
	int64_t modified_s;
	int64_t modified_ns;
	int64_t changed_s;
	int64_t changed_ns;
	uint64_t random_id;
	uint64_t raw_bytes;
	uint64_t packed_bytes; /* of zstd; as many as raw: not packed */
	uint32_t checksum;     /* CRC-32C of the header with this field 0, then of what follows */
	uint32_t reserved;
};

_Static_assert(sizeof(struct header) == 128, "no bytes of it are padding");

static int
copy_build_id(struct dl_phdr_info *info, size_t bytes, void *context)
{
	struct header *header = context;
	struct vmt_elf_headers program;

	(void)bytes;
	if (!vmt_elf_headers_describe(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum,
				      &program) ||
	    !program.build_id || program.build_id_bytes > sizeof(header->build_id))
		return -1;
	memcpy(header->build_id, program.build_id, program.build_id_bytes);
	return 1; /* the program comes first */
}

/* False: the trace or this program has nothing to be known by. */
static bool
describe(const struct vmt_trace *trace, struct header *header)
{
	const struct vmt_file_reader *file = vmt_trace_file(trace);
	struct stat status;

	if (file->was_compressed || fstat(file->fd, &status) != 0 ||
	    (uint64_t)status.st_size != file->bytes)
		return false;
	*header = (struct header){
	    .magic = MAGIC,
	    .device = status.st_dev,
	    .inode = status.st_ino,
	    .bytes = (uint64_t)status.st_size,
	    .modified_s = status.st_mtim.tv_sec,
	    .modified_ns = status.st_mtim.tv_nsec,
	    .changed_s = status.st_ctim.tv_sec,
	    .changed_ns = status.st_ctim.tv_nsec,
	    .random_id = vmt_trace_head(trace)->random_id,
	};
	return dl_iterate_phdr(copy_build_id, header) == 1;
}

static void
name_of(const struct header *header, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%016" PRIx64 "-%016" PRIx64 SUFFIX, header->random_id,
		 header->inode);
}

/* $XDG_CACHE_HOME or ~/.cache; a path that is not absolute counts as none (XDG Base Directory
 * Specification). */
static bool
find_above(char path[PATH_MAX])
{
	const char *above = getenv("XDG_CACHE_HOME");
	const char *end = "";
	int length;

	if (!above || above[0] != '/') {
		above = getenv("HOME");
		end = "/.cache";
	}
	if (!above || above[0] != '/')
		return false;
	length = snprintf(path, PATH_MAX, "%s%s", above, end);
	return length > 0 && length < PATH_MAX;
}

static bool
is_own(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_uid == geteuid();
}

/* A directory within one that is the user's: nothing is made in somebody else's home. */
static void
make_within(const char *own, const char *path)
{
	if (is_own(own))
		(void)mkdir(path, 0700);
}

/* ~/.cache, where there is none yet. */
static void
make_parent(const char *above)
{
	const char *home = getenv("HOME");
	size_t length = home ? strlen(home) : 0;

	if (length > 0 && strncmp(above, home, length) == 0 &&
	    strcmp(above + length, "/.cache") == 0)
		make_within(home, above);
}

/* -1: there is none, or it is not this user's alone. */
static int
open_directory(bool make)
{
	char above[PATH_MAX];
	char path[PATH_MAX + sizeof("/vmtrace")];
	struct stat status;
	int fd;

	if (!find_above(above))
		return -1;
	snprintf(path, sizeof(path), "%s/vmtrace", above);
	if (make) {
		make_parent(above);
		make_within(above, path);
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 077) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
read_all(int fd, void *bytes, size_t count)
{
	char *at = bytes;

	while (count > 0) {
		ssize_t got = read(fd, at, count);

		if (got <= 0 && !(got < 0 && errno == EINTR))
			return false;
		at += got > 0 ? got : 0;
		count -= got > 0 ? (size_t)got : 0;
	}
	return true;
}

static bool
write_all(int fd, const void *bytes, size_t count)
{
	const char *at = bytes;

	while (count > 0) {
		ssize_t put = write(fd, at, count);

		if (put == 0 || (put < 0 && errno != EINTR))
			return false;
		at += put > 0 ? put : 0;
		count -= put > 0 ? (size_t)put : 0;
	}
	return true;
}

static uint32_t
checksum_of(const struct header *header, const void *packed)
{
	struct header blank = *header;

	blank.checksum = 0;
	return vmt_checksum_update(vmt_checksum_update(0, &blank, sizeof(blank)), packed,
				   header->packed_bytes);
}

/* Whether a header is that of this trace and this program, and of a file of that size. */
static bool
is_header(const struct header *header, const struct header *wanted, uint64_t file_bytes)
{
	return memcmp(header, wanted, offsetof(struct header, raw_bytes)) == 0 &&
	       header->raw_bytes > 0 && header->raw_bytes < VMT_TRACE_CACHE_MOST_BYTES &&
	       header->packed_bytes <= header->raw_bytes &&
	       header->packed_bytes == file_bytes - sizeof(*header);
}

/* NULL: they are not what was written. */
static unsigned char *
unpack(const struct header *header, unsigned char *packed)
{
	unsigned char *raw;

	if (checksum_of(header, packed) != header->checksum) {
		free(packed);
		return NULL;
	}
	if (header->packed_bytes == header->raw_bytes)
		return packed;
	raw = malloc(header->raw_bytes);
	if (raw && !vmt_zstd_decompress(raw, header->raw_bytes, packed, header->packed_bytes)) {
		free(raw);
		raw = NULL;
	}
	free(packed);
	return raw;
}

static unsigned char *
read_file(int fd, const struct header *wanted, size_t *count)
{
	struct header header;
	struct stat status;
	unsigned char *packed;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
	    (uint64_t)status.st_size < sizeof(header) || !read_all(fd, &header, sizeof(header)) ||
	    !is_header(&header, wanted, (uint64_t)status.st_size))
		return NULL;
	packed = malloc(header.packed_bytes + 1);
	if (!packed || !read_all(fd, packed, header.packed_bytes)) {
		free(packed);
		return NULL;
	}
	*count = header.raw_bytes;
	(void)futimens(fd, NULL); /* it was used now */
	return unpack(&header, packed);
}

/* A change that comes within one tick of the file system's clock leaves the times as they are. */
static bool
is_settled(const struct header *header)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return false;
	now.tv_nsec -= SETTLED_NS;
	if (now.tv_nsec < 0) {
		now.tv_nsec += 1000000000;
		now.tv_sec--;
	}
	return header->changed_s < now.tv_sec ||
	       (header->changed_s == now.tv_sec && header->changed_ns < now.tv_nsec);
}

void
vmt_trace_cache_describe(const struct vmt_trace *trace, struct vmt_trace_cache_key *key)
{
	struct header header = {.magic = 0};

	_Static_assert(sizeof(header) == sizeof(key->bytes), "a key is a header");
	*key = (struct vmt_trace_cache_key){.is_known = describe(trace, &header)};
	if (!key->is_known)
		return;
	key->is_known = is_settled(&header);
	memcpy(key->bytes, &header, sizeof(header));
}

bool
vmt_trace_cache_read(const struct vmt_trace_cache_key *key, unsigned char **bytes, size_t *count)
{
	struct header wanted;
	char name[NAME_BYTES];
	int directory = key->is_known ? open_directory(false) : -1;
	int fd;

	*bytes = NULL;
	if (directory < 0)
		return false;
	memcpy(&wanted, key->bytes, sizeof(wanted));
	name_of(&wanted, name);
	fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	close(directory);
	if (fd < 0)
		return false;
	*bytes = read_file(fd, &wanted, count);
	close(fd);
	return *bytes != NULL;
}

/* A file of the cache's, as far as its name tells. */
static bool
is_ours(const char *name)
{
	size_t length = strlen(name);

	return length > sizeof(SUFFIX) && strcmp(name + length - (sizeof(SUFFIX) - 1), SUFFIX) == 0;
}

/* The sum of all files, and the name of the one that was not used for longest; "": there is none.
 */
static uint64_t
look_through(int directory, char oldest[NAME_BYTES])
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *files = copy >= 0 ? fdopendir(copy) : NULL;
	int64_t oldest_s = INT64_MAX;
	uint64_t bytes = 0;
	const struct dirent *file;
	struct stat status;

	oldest[0] = '\0';
	if (!files && copy >= 0)
		close(copy);
	while (files && (file = readdir(files)) != NULL) {
		size_t length = strlen(file->d_name);

		if (!is_ours(file->d_name) || length >= NAME_BYTES ||
		    fstatat(directory, file->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(status.st_mode))
			continue;
		bytes += (uint64_t)status.st_size;
		if (status.st_mtim.tv_sec < oldest_s) {
			oldest_s = status.st_mtim.tv_sec;
			memcpy(oldest, file->d_name, length + 1);
		}
	}
	if (files)
		closedir(files);
	return bytes;
}

/* Whether as many bytes more are within the bound. Another command may make room, too. */
static bool
make_room(int directory, uint64_t more)
{
	char oldest[NAME_BYTES];

	while (look_through(directory, oldest) + more > VMT_TRACE_CACHE_MOST_BYTES)
		if (!oldest[0] || (unlinkat(directory, oldest, 0) != 0 && errno != ENOENT))
			return false;
	return true;
}

/* To write past the process's own limit would end it (SIGXFSZ). */
static bool
may_be_as_long(uint64_t bytes)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes <= limit.rlim_cur;
}

static bool
write_file(int directory, const struct header *header, const void *packed)
{
	char name[NAME_BYTES];
	char unfinished[NAME_BYTES];
	bool is_written;
	int fd;

	name_of(header, name);
	snprintf(unfinished, sizeof(unfinished), "new-%d" SUFFIX, (int)getpid());
	(void)unlinkat(directory, unfinished, 0);
	fd = openat(directory, unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return false;
	is_written =
	    write_all(fd, header, sizeof(*header)) && write_all(fd, packed, header->packed_bytes);
	if (close(fd) == 0 && is_written && renameat(directory, unfinished, directory, name) == 0)
		return true;
	(void)unlinkat(directory, unfinished, 0);
	return false;
}

static void
keep(const struct header *described, const void *bytes, size_t count)
{
	struct header header = *described;
	void *packed = malloc(count);
	int directory = packed ? open_directory(true) : -1;

	if (directory < 0) {
		free(packed);
		return;
	}
	header.raw_bytes = count;
	header.packed_bytes = vmt_zstd_compress(NULL, packed, count, bytes, count);
	if (header.packed_bytes == 0)
		header.packed_bytes = count;
	if (header.packed_bytes < count)
		bytes = packed;
	header.checksum = checksum_of(&header, bytes);
	if (may_be_as_long(sizeof(header) + header.packed_bytes) &&
	    make_room(directory, sizeof(header) + header.packed_bytes))
		(void)write_file(directory, &header, bytes);
	close(directory);
	free(packed);
}

void
vmt_trace_cache_write(const struct vmt_trace *trace, const struct vmt_trace_cache_key *key,
		      const void *bytes, size_t count)
{
	struct header header;

	if (count > 0 && count < VMT_TRACE_CACHE_MOST_BYTES - sizeof(header) && key->is_known &&
	    describe(trace, &header) && memcmp(&header, key->bytes, sizeof(header)) == 0)
		keep(&header, bytes, count);
}
