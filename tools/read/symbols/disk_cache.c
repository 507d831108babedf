#include "tools/read/symbols/disk_cache.h"

#include "format/checksum.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VERSION 1u
#define UNFINISHED "unfinished-"
#define NAME_CHARACTERS "0123456789abcdef-"
#define UNFINISHED_SECONDS 3600

static const char magic[8] = {'v', 'm', 't', 'c', 'a', 'c', 'h', 'e'}; /* text without an end */

struct vmt_disk_cache {
	int directory;
};

struct head {
	char magic[8];
	uint32_t version;
	uint32_t checksum; /* of what follows it, and of length */
	uint64_t length;
};

/* Nobody but this user can have put anything into it. */
static bool
is_own(int fd, mode_t forbidden)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
	       (status.st_mode & forbidden) == 0;
}

static int
enter(int around, const char *name)
{
	return openat(around, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* A directory in an own one, made where it is missing; -1 where it is not the user's alone. */
static int
enter_own(int around, const char *name, mode_t forbidden)
{
	int fd = enter(around, name);

	if (fd < 0 && errno == ENOENT && is_own(around, S_IWGRP | S_IWOTH) &&
	    mkdirat(around, name, 0700) == 0)
		fd = enter(around, name);
	if (fd >= 0 && !is_own(fd, forbidden)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The directory for all caches, as XDG's base directories are defined: the directory around it and
 * its name. */
static bool
find_base(char around[PATH_MAX], const char **name)
{
	const char *chosen = secure_getenv("XDG_CACHE_HOME");
	const char *home = secure_getenv("HOME");
	int length = -1;
	char *slash;

	if (chosen && chosen[0] == '/')
		length = snprintf(around, PATH_MAX, "%s", chosen);
	else if (home && home[0] == '/')
		length = snprintf(around, PATH_MAX, "%s/.cache", home);
	if (length < 0 || length >= PATH_MAX)
		return false;
	while (length > 1 && around[length - 1] == '/')
		around[--length] = '\0';
	slash = strrchr(around, '/');
	*name = slash + 1;
	if (slash == around)
		return false;
	*slash = '\0';
	return **name != '\0';
}

static int
open_directory(void)
{
	char around[PATH_MAX];
	const char *name;
	int outer;
	int base;
	int own = -1;

	if (!find_base(around, &name))
		return -1;
	outer = open(around, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (outer < 0)
		return -1;
	base = enter_own(outer, name, S_IWGRP | S_IWOTH);
	close(outer);
	if (base < 0)
		return -1;
	own = enter_own(base, "vmtrace", S_IRWXG | S_IRWXO);
	close(base);
	return own;
}

struct vmt_disk_cache *
vmt_disk_cache_open(void)
{
	const char *wanted = secure_getenv("VMTRACE_CACHE");
	struct vmt_disk_cache *cache;

	if (wanted && strcmp(wanted, "0") == 0)
		return NULL;
	cache = malloc(sizeof(*cache));
	if (!cache)
		return NULL;
	cache->directory = open_directory();
	if (cache->directory >= 0)
		return cache;
	free(cache);
	return NULL;
}

void
vmt_disk_cache_close(struct vmt_disk_cache *cache)
{
	if (!cache)
		return;
	close(cache->directory);
	free(cache);
}

static bool
is_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < VMT_DISK_CACHE_NAME_BYTES &&
	       strspn(name, NAME_CHARACTERS) == length;
}

static uint32_t
checksum_of(const struct head *head, const void *bytes)
{
	uint32_t checksum = vmt_checksum_update(0, &head->length, sizeof(head->length));

	return vmt_checksum_update(checksum, bytes, head->length);
}

/* An own file of a size that one can have; its size, or 0. */
static size_t
size_of_own(int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
	    (status.st_mode & (S_IRWXG | S_IRWXO)) || status.st_nlink != 1)
		return 0;
	if (status.st_size <= (off_t)sizeof(struct head) ||
	    status.st_size > (off_t)VMT_DISK_CACHE_FILE_BYTES)
		return 0;
	return (size_t)status.st_size;
}

/* The bytes behind a right head. */
static unsigned char *
read_file(int fd, size_t *length)
{
	size_t size = size_of_own(fd);
	struct head head;
	unsigned char *bytes;

	if (size == 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.magic, magic, sizeof(magic)) != 0 || head.version != VERSION ||
	    head.length != size - sizeof(head))
		return NULL;
	bytes = malloc(head.length);
	if (!bytes)
		return NULL;
	if (pread(fd, bytes, head.length, sizeof(head)) == (ssize_t)head.length &&
	    checksum_of(&head, bytes) == head.checksum) {
		*length = head.length;
		return bytes;
	}
	free(bytes);
	return NULL;
}

unsigned char *
vmt_disk_cache_read(struct vmt_disk_cache *cache, const char *name, size_t *length)
{
	int fd;
	unsigned char *bytes;

	assert(is_name(name));
	/* O_NONBLOCK: a FIFO must not hold us up. */
	fd = openat(cache->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	bytes = read_file(fd, length);
	if (bytes)
		(void)futimens(fd, NULL); /* used last */
	close(fd);
	return bytes;
}

struct kept {
	char name[NAME_MAX + 1];
	struct timespec used;
	uint64_t bytes;
};

static int
compare_kept(const void *left, const void *right)
{
	const struct kept *a = left;
	const struct kept *b = right;

	if (a->used.tv_sec != b->used.tv_sec)
		return a->used.tv_sec > b->used.tv_sec ? -1 : 1;
	if (a->used.tv_nsec != b->used.tv_nsec)
		return a->used.tv_nsec > b->used.tv_nsec ? -1 : 1;
	return 0;
}

/* What a killed writer left behind. */
static void
drop_unfinished(const struct vmt_disk_cache *cache, const char *name, const struct stat *status)
{
	if (strncmp(name, UNFINISHED, sizeof(UNFINISHED) - 1) == 0 &&
	    time(NULL) - status->st_mtim.tv_sec > UNFINISHED_SECONDS)
		unlinkat(cache->directory, name, 0);
}

/* Lists what is kept; what has another name is somebody else's and left alone. */
static size_t
list_kept(const struct vmt_disk_cache *cache, DIR *stream, struct kept **list)
{
	struct dirent *entry;
	size_t room = 0;
	size_t count = 0;

	while ((entry = readdir(stream))) {
		struct stat status;

		if (fstatat(cache->directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		drop_unfinished(cache, entry->d_name, &status);
		if (!is_name(entry->d_name))
			continue;
		if (count == room) {
			struct kept *grown;

			room = room ? 2 * room : 64;
			grown = reallocarray(*list, room, sizeof(*grown));
			if (!grown)
				break;
			*list = grown;
		}
		(*list)[count].used = status.st_mtim;
		(*list)[count].bytes = (uint64_t)status.st_size;
		snprintf((*list)[count++].name, NAME_MAX + 1, "%s", entry->d_name);
	}
	return count;
}

/* Keeps what was used last, as much as may be kept. */
static void
evict(const struct vmt_disk_cache *cache)
{
	int fd = enter(cache->directory, ".");
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	struct kept *list = NULL;
	uint64_t sum = 0;
	size_t count;

	if (!stream) {
		if (fd >= 0)
			close(fd);
		return;
	}
	count = list_kept(cache, stream, &list);
	closedir(stream);
	if (count)
		qsort(list, count, sizeof(*list), compare_kept);
	for (size_t i = 0; i < count; i++) {
		sum += list[i].bytes;
		if (sum > VMT_DISK_CACHE_ALL_BYTES || i >= VMT_DISK_CACHE_ALL_FILES)
			unlinkat(cache->directory, list[i].name, 0);
	}
	free(list);
}

/* Beyond the limit a write would end this process by a signal. */
static bool
may_write(size_t length)
{
	struct rlimit limit;

	return length <= VMT_DISK_CACHE_FILE_BYTES && getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	       length <= limit.rlim_cur;
}

static bool
write_file(int fd, const void *bytes, size_t length)
{
	struct head head = {.version = VERSION, .length = length};

	memcpy(head.magic, magic, sizeof(magic));
	head.checksum = checksum_of(&head, bytes);
	return write(fd, &head, sizeof(head)) == sizeof(head) &&
	       write(fd, bytes, length) == (ssize_t)length;
}

void
vmt_disk_cache_write(struct vmt_disk_cache *cache, const char *name, const void *bytes,
		     size_t length)
{
	char unfinished[sizeof(UNFINISHED) + 32];
	bool written;
	int fd;

	assert(is_name(name) && length > 0);
	if (!may_write(sizeof(struct head) + length))
		return;
	snprintf(unfinished, sizeof(unfinished), UNFINISHED "%ld", (long)getpid());
	unlinkat(cache->directory, unfinished, 0);
	fd = openat(cache->directory, unfinished,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	written = write_file(fd, bytes, length);
	written = close(fd) == 0 && written;
	if (!written || renameat(cache->directory, unfinished, cache->directory, name) != 0)
		unlinkat(cache->directory, unfinished, 0);
	else
		evict(cache);
}
