#include "tools/cmd/snapshot_take.h"

#include "base/procfs.h"
#include "collect/look.h"
#include "tools/cmd/output.h"
#include "tools/cmd/snapshot_modules.h"
#include "tools/read/trace/zstd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool
has_program(uint32_t pid)
{
	char link[64];
	char text[16];

	snprintf(link, sizeof(link), "/proc/%" PRIu32 "/exe", pid);
	return readlink(link, text, sizeof(text)) > 0;
}

static const char *
remedy_of_denial(void)
{
	return geteuid() == 0 ? "root here lacks the right (CAP_SYS_PTRACE, or a security module "
				"forbids it): take it on the host"
			      : "take it as that user, or as root";
}

static char
state_of(uint32_t pid)
{
	struct vmt_procfs_stat stat = {.state = '\0'};
	int fd = vmt_procfs_open(pid, "stat");

	if (fd < 0)
		return '\0';
	if (!vmt_procfs_read_stat(fd, &stat))
		stat.state = '\0';
	close(fd);
	return stat.state;
}

static int
say_absent(uint32_t pid, bool was_there, struct vmt_err *err)
{
	if (vmt_procfs_is_hidden(pid))
		return vmt_err_set(err, EPERM,
				   "process %" PRIu32
				   " can't be seen: /proc hides it (hidepid=, or "
				   "another pid namespace); %s",
				   pid, remedy_of_denial());
	if (was_there)
		return vmt_err_set(err, ESRCH,
				   "process %" PRIu32 " ended, or became another program, before "
				   "all of it was read",
				   pid);
	return vmt_err_set(err, ESRCH, "there is no process %" PRIu32 " here", pid);
}

/* Why there is nothing to look at, in the reader's terms. */
static int
say_why(uint32_t pid, int result, bool was_there, struct vmt_err *err)
{
	char state = state_of(pid);

	if (state == '\0')
		return say_absent(pid, was_there, err);
	if (state == 'Z' || state == 'X')
		return vmt_err_set(err, ESRCH,
				   "process %" PRIu32
				   " has ended (a zombie): it has no memory, and "
				   "waits for its parent to read its status",
				   pid);
	if (result == -EACCES || result == -EPERM)
		return vmt_err_set(err, EACCES,
				   "process %" PRIu32
				   " can't be looked at: it is another user's, or "
				   "protects itself; %s",
				   pid, remedy_of_denial());
	if (result == -ENODATA && !has_program(pid))
		return vmt_err_set(err, ENODATA,
				   "process %" PRIu32
				   " is a kernel thread: it has no memory of its "
				   "own",
				   pid);
	if (result == -ESRCH || result == -ENODATA)
		return say_absent(pid, true, err);
	return vmt_err_set(err, -result, "process %" PRIu32 " can't be looked at: %s", pid,
			   strerror(-result));
}

int
vmt_snapshot_take_check(uint32_t pid, struct vmt_err *err)
{
	int fd = vmt_procfs_open(pid, "maps");
	int result = fd < 0 ? fd : 0;

	if (fd >= 0) {
		result = vmt_procfs_is_mapped(fd) ? 0 : -ENODATA;
		close(fd);
	}
	return result < 0 ? say_why(pid, result, false, err) : 0;
}

int
vmt_snapshot_take_watch(uint32_t pid, int trace_fd, const struct vmt_snapshot_watch *watch,
			struct vmt_err *err)
{
	struct vmt_zstd_packer *packer = vmt_zstd_packer_new(); /* may be NULL */
	struct vmt_collector_host host = {.compress = vmt_zstd_compress,
					  .context = packer,
					  .interval_ns = watch->interval_ns,
					  .max_bytes = watch->max_bytes,
					  .residency_source = watch->residency_source};
	struct vmt_snapshot_modules modules;
	bool was_there = state_of(pid) != '\0';
	int result;

	vmt_snapshot_modules_find(&modules, pid);
	result = vmt_look_take(&(struct vmt_look_job){
	    .pid = pid,
	    .trace_fd = trace_fd,
	    .host = &host,
	    .modules = modules.all,
	    .module_count = modules.all_count,
	    .go = modules.is_go ? &modules.go : NULL,
	    .goes_on = watch->goes_on,
	    .context = watch->context,
	});
	vmt_zstd_packer_free(packer);
	vmt_snapshot_modules_free(&modules);
	return result < 0 ? say_why(pid, result, was_there, err) : 0;
}

int
vmt_snapshot_take_write(uint32_t pid, int trace_fd, struct vmt_err *err)
{
	const struct vmt_snapshot_watch once = {.goes_on = NULL};

	return vmt_snapshot_take_watch(pid, trace_fd, &once, err);
}

int
vmt_snapshot_take_nameless(uint32_t pid, struct vmt_err *err)
{
	int fd = memfd_create("vmtrace-snapshot", MFD_CLOEXEC);
	int result;

	if (fd < 0)
		return vmt_err_set(err, errno, "no memory for a snapshot: %s", strerror(errno));
	result = vmt_snapshot_take_write(pid, fd, err);
	if (result < 0)
		close(fd);
	return result < 0 ? result : fd;
}

static int
copy(int from, FILE *to)
{
	char buffer[65536];
	off_t at = 0;
	ssize_t got;

	while ((got = pread(from, buffer, sizeof(buffer), at)) > 0) {
		if (fwrite(buffer, 1, (size_t)got, to) != (size_t)got)
			return -errno;
		at += got;
	}
	return got < 0 ? -errno : 0;
}

int
vmt_snapshot_take_file(uint32_t pid, const char *path, struct vmt_err *err)
{
	static const char *const no_inputs[] = {NULL};
	struct vmt_output output;
	int result = vmt_output_open(&output, path, true, false, no_inputs, err);
	int fd;

	if (result < 0)
		return result;
	result = fd = vmt_snapshot_take_nameless(pid, err);
	if (fd >= 0) {
		result = copy(fd, output.file);
		if (result < 0)
			vmt_err_set(err, -result, "%s: %s", path, strerror(-result));
		close(fd);
	}
	return vmt_output_close(&output, result, err);
}
