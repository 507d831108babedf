#include "tools/read/trace/expanded.h"

#include "tools/read/trace/expand.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct kept {
	struct stat of; /* the compressed file */
	int fd;
};

static struct kept kept[VMT_EXPANDED_FILES];
static unsigned kept_count;
static uint64_t kept_bytes;
static uint64_t all_bytes;

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The descriptor of one that is kept takes the place of *fd. */
static bool
take_kept(int *fd, const struct stat *status)
{
	for (unsigned i = 0; i < kept_count; i++) {
		int copy =
		    is_same(&kept[i].of, status) ? fcntl(kept[i].fd, F_DUPFD_CLOEXEC, 0) : -1;

		if (copy < 0)
			continue;
		close(*fd);
		*fd = copy;
		return true;
	}
	return false;
}

/* Whether a later change of the file will show in its times: they go in steps. */
static bool
is_at_rest(const struct stat *of)
{
	struct timespec now;

	return clock_gettime(CLOCK_REALTIME, &now) == 0 && now.tv_sec - of->st_mtim.tv_sec > 1;
}

/* In the blocks that it has. */
static void
keep(int fd, const struct stat *of)
{
	struct stat status;
	uint64_t bytes;
	int copy;

	if (fstat(fd, &status) < 0)
		return;
	bytes = (uint64_t)status.st_blocks * 512;
	all_bytes += bytes;
	if (!is_at_rest(of) || kept_count == VMT_EXPANDED_FILES ||
	    kept_bytes + bytes > VMT_EXPANDED_KEPT_BYTES ||
	    (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return;
	kept_bytes += bytes;
	kept[kept_count++] = (struct kept){*of, copy};
}

int
vmt_expanded_open(int *fd, const char *path, bool *was_compressed, struct vmt_err *err)
{
	struct stat status;
	int result;

	if (fstat(*fd, &status) < 0)
		return vmt_err_set(err, errno, "%s: can't be looked at", path);
	if (take_kept(fd, &status)) {
		*was_compressed = true;
		return 0;
	}
	if (all_bytes > VMT_EXPANDED_ALL_BYTES && vmt_expand_is_wanted(*fd))
		return vmt_err_set(err, E2BIG,
				   "%s: is compressed, and those before it have %llu GiB together: "
				   "decompress them, or name fewer",
				   path, (unsigned long long)(all_bytes >> 30));
	result = vmt_expand_file(fd, path, was_compressed, err);
	if (result == 0 && *was_compressed)
		keep(*fd, &status);
	if (result == -E2BIG)
		all_bytes += VMT_EXPAND_DATA_BYTES;
	return result;
}
