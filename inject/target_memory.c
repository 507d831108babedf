#include "inject/target_memory.h"

#include "base/assert.h"
#include "base/pages.h"
#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

int
vmt_target_open(struct vmt_target *target, pid_t pid)
{
	char path[32];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));

	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, (uint64_t)pid);
	vmt_text_put(&out, "/mem");
	target->pid = pid;
	target->reads_at_once = false;
	target->mem_fd = vmt_sys_open(path, O_RDWR, 0);
	return target->mem_fd < 0 ? target->mem_fd : 0;
}

void
vmt_target_close(struct vmt_target *target)
{
	if (target->mem_fd >= 0)
		vmt_sys_close(target->mem_fd);
	target->mem_fd = -1;
}

/* One transfer after another, as the kernel may end each early. */
static int
transfer(long number, int fd, uint64_t address, char *bytes, size_t length)
{
	while (length > 0) {
		long done = vmt_sys_call4(number, fd, bytes, length, address);

		if (done == -EINTR)
			continue;
		if (done < 0)
			return (int)done;
		if (done == 0)
			return -EIO;
		address += (uint64_t)done;
		bytes += done;
		length -= (size_t)done;
	}
	return 0;
}

/* How many bytes could be read at one go. The number may be another program's by now, of which
 * nothing is to be taken: the memory that the descriptor is tied to has to be there afterwards. */
static size_t
read_at_once(const struct vmt_target *target, uint64_t address, void *to, size_t bytes)
{
	struct iovec local = {to, bytes};
	struct iovec remote = {(void *)address, bytes}; /* NOLINT(performance-no-int-to-ptr) */
	char first;
	long done;

	if (!target->reads_at_once || bytes <= vmt_page_bytes)
		return 0;
	done =
	    vmt_sys_call6(SYS_process_vm_readv, target->pid, (long)&local, 1, (long)&remote, 1, 0);
	if (done <= 0 || vmt_sys_call4(SYS_pread64, target->mem_fd, &first, 1, address) != 1)
		return 0;
	return (size_t)done;
}

int
vmt_target_read(const struct vmt_target *target, uint64_t address, void *to, size_t bytes)
{
	size_t done = read_at_once(target, address, to, bytes);

	return transfer(SYS_pread64, target->mem_fd, address + done, (char *)to + done,
			bytes - done);
}

size_t
vmt_target_read_some(const struct vmt_target *target, uint64_t address, void *to, size_t bytes)
{
	char *at = to;
	size_t used = read_at_once(target, address, to, bytes);

	while (used < bytes) {
		long done = vmt_sys_call4(SYS_pread64, target->mem_fd, at + used, bytes - used,
					  address + used);

		if (done == -EINTR)
			continue;
		if (done <= 0)
			break;
		used += (size_t)done;
	}
	return used;
}

int
vmt_target_write(const struct vmt_target *target, uint64_t address, const void *from, size_t bytes)
{
	return transfer(SYS_pwrite64, target->mem_fd, address, (char *)(uintptr_t)from, bytes);
}

int
vmt_target_take_back(const struct vmt_target *target, uint64_t address, const void *changed,
		     const void *old, size_t bytes)
{
	uint8_t now[VMT_TARGET_CHANGE_BYTES];
	int result;

	vmt_assert(bytes <= sizeof(now));
	result = vmt_target_read(target, address, now, bytes);
	if (result == -EIO || result == -EFAULT)
		return 0;
	if (result < 0 || memcmp(now, changed, bytes) != 0)
		return result;
	return vmt_target_write(target, address, old, bytes);
}
