#include "inject/attach_obstacle.h"

#include "base/listing.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "inject/shared_memory.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STATUS_BYTES 8192u
#define ENTRIES_BYTES 4096u
#define LIBRARY "libvmtrace.so"

struct status {
	uint64_t tracer;
	uint64_t filter; /* of system calls: its mode */
	bool has_shadow_stack;
	char state;
};

static void
take_line(struct status *status, struct vmt_text line)
{
	if (vmt_text_skip_string(&line, "TracerPid:")) {
		vmt_text_skip_blanks(&line);
		(void)vmt_text_take_decimal(&line, &status->tracer);
	} else if (vmt_text_skip_string(&line, "Seccomp:")) {
		vmt_text_skip_blanks(&line);
		(void)vmt_text_take_decimal(&line, &status->filter);
	} else if (vmt_text_skip_string(&line, "State:")) {
		vmt_text_skip_blanks(&line);
		status->state = line.at < line.end ? *line.at : '?';
	} else if (vmt_text_skip_string(&line, "x86_Thread_features:")) {
		struct vmt_text word;

		while (vmt_text_take_word(&line, &word))
			status->has_shadow_stack |= vmt_text_equals(&word, "shstk");
	}
}

static struct status
status_of(const char *bytes, size_t length)
{
	struct vmt_text text = vmt_text_of(bytes, length);
	struct vmt_text line;
	struct status status = {.tracer = 0};

	while (vmt_text_take_line(&text, &line))
		take_line(&status, line);
	return status;
}

static bool
read_status(pid_t pid, struct status *status)
{
	char bytes[STATUS_BYTES];
	int fd = vmt_procfs_open((uint32_t)pid, "status");
	long got = fd < 0 ? fd : vmt_procfs_read(fd, bytes, sizeof(bytes));

	if (fd >= 0)
		vmt_sys_close(fd);
	*status = status_of(bytes, got > 0 ? (size_t)got : 0);
	return got > 0;
}

/* One that ends meanwhile has none. */
static bool
is_any_filtered(const char *bytes, long length)
{
	struct vmt_listing listing = {.bytes = bytes, .length = (size_t)length};
	struct status status;
	uint64_t tid;

	while (vmt_listing_next(&listing, &tid))
		if (read_status((pid_t)tid, &status) && status.filter != 0)
			return true;
	return false;
}

/* A filter may be that of a single thread. */
static bool
has_filtered_thread(pid_t pid)
{
	_Alignas(struct vmt_listing_entry) char bytes[ENTRIES_BYTES];
	int fd = vmt_procfs_open((uint32_t)pid, "task");
	bool found = false;
	long got;

	if (fd < 0)
		return false;
	while (!found && (got = vmt_sys_call3(SYS_getdents64, fd, bytes, sizeof(bytes))) > 0)
		found = is_any_filtered(bytes, got);
	vmt_sys_close(fd);
	return found;
}

/* Whether a link such as /proc/PID/ns/mnt leads to the same as this process's own. */
static bool
shares(pid_t pid, const char *name)
{
	char other[64], own[64];
	struct vmt_text_out out = vmt_text_out_begin(other, sizeof(other));
	struct stat theirs, ours;

	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, (uint64_t)pid);
	vmt_text_put(&out, name);
	out = vmt_text_out_begin(own, sizeof(own));
	vmt_text_put(&out, "/proc/self");
	vmt_text_put(&out, name);
	return vmt_sys_call4(SYS_newfstatat, AT_FDCWD, other, &theirs, 0) == 0 &&
	       vmt_sys_call4(SYS_newfstatat, AT_FDCWD, own, &ours, 0) == 0 &&
	       theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

static bool
is_of_64_bits(pid_t pid)
{
	unsigned char header[20] = {0};
	int fd = vmt_procfs_open((uint32_t)pid, "exe");
	long got;

	if (fd < 0)
		return true; /* something else will say why */
	got = vmt_procfs_read_once(fd, (char *)header, sizeof(header));
	vmt_sys_close(fd);
	return got == (long)sizeof(header) && header[EI_CLASS] == ELFCLASS64 &&
	       (header[18] | header[19] << 8) == EM_X86_64;
}

static bool
ends_in(const char *text, size_t text_bytes, const char *end, size_t end_bytes)
{
	return text_bytes >= end_bytes &&
	       memcmp(text + text_bytes - end_bytes, end, end_bytes) == 0;
}

/* The kernel adds to the name of a file that was removed or replaced since. */
static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	static const char deleted[] = " (deleted)";
	size_t bytes = mapping->path_bytes;
	bool *found = context;

	if (ends_in(mapping->path, bytes, deleted, sizeof(deleted) - 1))
		bytes -= sizeof(deleted) - 1;
	*found = ends_in(mapping->path, bytes, LIBRARY, sizeof(LIBRARY) - 1);
	return !*found;
}

static bool
has_library(pid_t pid)
{
	char buffer[VMT_PROCFS_LINE_BYTES];
	int fd = vmt_procfs_open((uint32_t)pid, "maps");
	bool found = false;

	if (fd < 0)
		return false;
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit, &found);
	vmt_sys_close(fd);
	return found;
}

static bool
say_traced(uint64_t tracer, char why[VMT_WHY_BYTES])
{
	struct vmt_text_out out = vmt_text_out_begin(why, VMT_WHY_BYTES);

	vmt_text_put(&out, "process ");
	vmt_text_put_decimal(&out, tracer);
	vmt_text_put(&out, " traces it");
	return true;
}

static bool
say(char why[VMT_WHY_BYTES], const char *text)
{
	(void)vmt_why_put(why, text, 0);
	return true;
}

bool
vmt_attach_obstacle_has_filter(pid_t tid)
{
	struct status status;

	return !read_status(tid, &status) || status.filter != 0;
}

static bool
judge(const struct status *status, char why[VMT_WHY_BYTES])
{
	if (status->tracer != 0)
		return say_traced(status->tracer, why);
	if (status->state == 'Z' || status->state == 'X')
		return say(why, "it has ended");
	if (status->filter != 0)
		return say(why, "it has a filter of system calls (seccomp)");
	return status->has_shadow_stack && say(why, "it has a shadow stack");
}

bool
vmt_attach_obstacle_in_status(const char *text, size_t length, char why[VMT_WHY_BYTES])
{
	const struct status status = status_of(text, length);

	return judge(&status, why);
}

bool
vmt_attach_obstacle_find(pid_t pid, char why[VMT_WHY_BYTES])
{
	struct status status;

#if !defined(__x86_64__)
	return say(why, "that is possible on x86-64 alone");
#endif
	if (!read_status(pid, &status))
		return say(why, "it has ended");
	if (judge(&status, why))
		return true;
	if (has_filtered_thread(pid))
		return say(why, "one of its threads has a filter of system calls (seccomp)");
	if (vmt_shared_memory_is_there(pid))
		return say(why, "another process runs in its memory (vfork, CLONE_VM)");
	if (!shares(pid, "/ns/pid"))
		return say(why, "it is of another pid namespace, or another user's");
	if (!shares(pid, "/ns/mnt") || !shares(pid, "/root"))
		return say(why, "it sees other files: it could not write the trace here");
	if (!is_of_64_bits(pid))
		return say(why, "it is no program of x86-64");
	if (has_library(pid))
		return say(why, "it has loaded " LIBRARY " already");
	return false;
}

static bool
is_restricted_by_yama(void)
{
	char text[4] = "";
	int fd = vmt_sys_open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return false;
	(void)vmt_procfs_read_once(fd, text, sizeof(text) - 1);
	vmt_sys_close(fd);
	return text[0] >= '1';
}

void
vmt_attach_obstacle_explain(pid_t pid, int error, char why[VMT_WHY_BYTES])
{
	struct status status;

	if (error == -ESRCH || !read_status(pid, &status) || status.state == 'Z')
		(void)say(why, "it has ended");
	else if (status.tracer != 0)
		(void)say_traced(status.tracer, why);
	else if ((error == -EPERM || error == -EACCES) && is_restricted_by_yama())
		(void)say(why, "the kernel lets only root trace it (kernel.yama.ptrace_scope)");
	else if (error == -EPERM || error == -EACCES)
		(void)say(why, "it may not be traced by this user");
	else if (error == -EMLINK)
		(void)say(why, "another process runs in its memory (vfork, CLONE_VM)");
	else if (error == -ETIMEDOUT)
		(void)say(why, "one of its threads could not be stopped");
	else if (error == -EBUSY || error == -EDEADLK)
		(void)say(why, "no moment came in which no thread was in the way");
	else if (error == -ENOENT)
		(void)say(why, "its code has no place from which a call can be made");
	else
		(void)vmt_why_put(why, "it can't be traced", error);
}
