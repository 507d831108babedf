#include "base/shm_fallback.h"

#include "base/prealloc.h"
#include "base/sys.h"
#include "base/text.h"

#include <errno.h>

#define PATH_BYTES 96u

static const char suffix_of_heads[] = ".head";

bool
vmt_shm_fallback_is_wanted(long error)
{
	return error == -ENODEV || error == -EINVAL || error == -EOPNOTSUPP;
}

bool
vmt_shm_fallback_path(char *path, size_t room, uint32_t place, uint32_t pid, uint64_t random_id,
		      const char *suffix)
{
	static const char *const places[] = {"/dev/shm/", "/tmp/"};
	struct vmt_text_out out = vmt_text_out_begin(path, room);

	if (place >= sizeof(places) / sizeof(places[0]))
		return false;
	vmt_text_put(&out, places[place]);
	vmt_text_put(&out, ".vmtrace.");
	vmt_text_put_decimal(&out, pid);
	vmt_text_put(&out, ".");
	vmt_text_put_decimal(&out, random_id);
	vmt_text_put(&out, suffix);
	return !out.overflow;
}

static int
make_at(const char *path, uint64_t bytes, void **base)
{
	int fd = vmt_sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	int result;

	if (fd < 0)
		return fd;
	result = vmt_prealloc_map(fd, bytes, base);
	vmt_sys_close(fd);
	if (result < 0)
		vmt_sys_call3(SYS_unlinkat, AT_FDCWD, path, 0);
	return result;
}

int
vmt_shm_fallback_make(uint32_t pid, uint64_t random_id, uint64_t bytes, void **base)
{
	char path[PATH_BYTES];
	int result = -ENAMETOOLONG;

	for (uint32_t place = 0; result < 0; place++) {
		if (!vmt_shm_fallback_path(path, sizeof(path), place, pid, random_id,
					   suffix_of_heads))
			break;
		result = make_at(path, bytes, base);
	}
	return result;
}

int
vmt_shm_fallback_open(uint32_t pid, uint64_t random_id)
{
	char path[PATH_BYTES];
	int fd = -ENOENT;

	for (uint32_t place = 0; fd == -ENOENT; place++) {
		if (!vmt_shm_fallback_path(path, sizeof(path), place, pid, random_id,
					   suffix_of_heads))
			break;
		fd = vmt_sys_open(path, O_RDWR | O_NOFOLLOW, 0);
	}
	return fd;
}

void
vmt_shm_fallback_remove(uint32_t pid, uint64_t random_id)
{
	char path[PATH_BYTES];

	for (uint32_t place = 0;
	     vmt_shm_fallback_path(path, sizeof(path), place, pid, random_id, suffix_of_heads);
	     place++)
		vmt_sys_call3(SYS_unlinkat, AT_FDCWD, path, 0);
}
