#include "tools/read/symbols/file_identity.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* FAT keeps times to two seconds, everything else is finer. */
#define SETTLED_NS UINT64_C(2100000000)

static uint64_t
nanoseconds(struct timespec time)
{
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct vmt_file_identity
vmt_file_identity_of(const char *path)
{
	struct vmt_file_identity identity = {0};
	struct stat status;

	if (stat(path, &status) != 0)
		return identity;
	identity.device = status.st_dev;
	identity.inode = status.st_ino;
	identity.bytes = (uint64_t)status.st_size;
	identity.content_ns = nanoseconds(status.st_mtim);
	identity.status_ns = nanoseconds(status.st_ctim);
	identity.is_there = 1;
	return identity;
}

bool
vmt_file_identity_is_equal(const struct vmt_file_identity *one,
			   const struct vmt_file_identity *other)
{
	return memcmp(one, other, sizeof(*one)) == 0;
}

bool
vmt_file_identity_is_settled(const struct vmt_file_identity *identity)
{
	struct timespec now;

	if (!identity->is_there)
		return true;
	return clock_gettime(CLOCK_REALTIME, &now) == 0 && nanoseconds(now) > identity->status_ns &&
	       nanoseconds(now) - identity->status_ns > SETTLED_NS;
}
