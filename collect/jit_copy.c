#include "collect/jit_copy.h"

#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/ticks.h"
#include "collect/trace_clock.h"
#include "format/jit_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PART_BYTES (UINT64_C(256) << 10) /* a chunk has one */
#define LOOK_NS UINT64_C(20000000)
#define TAIL_BYTES 64u
/* The clock of a file's times is that of the last tick of the kernel. */
#define COARSE_NS UINT64_C(20000000)
/* 64-bit FNV-1a */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* struct statx and STATX_MNT_ID of include/uapi/linux/stat.h: older C libraries have none. */
#define MOUNT_WANTED 0x1000u
struct statx_mount {
	uint32_t mask;
	uint32_t before[35];
	uint64_t mount;
	uint64_t after[13];
};

_Static_assert(sizeof(struct statx_mount) == 256, "the kernel writes so much");

static uint64_t
hash_of(const unsigned char *bytes, size_t length)
{
	uint64_t hash = HASH_START;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * HASH_PRIME;
	return hash;
}

static int
open_at(int directory, const char *name, int flags)
{
	return (int)vmt_sys_call4(SYS_openat, directory, name, flags | O_NOFOLLOW | O_CLOEXEC, 0);
}

static bool
status_at(int directory, const char *name, int flags, struct stat *status)
{
	return vmt_sys_call4(SYS_newfstatat, directory, name, status, flags) == 0;
}

/* HEADnumberTAIL; no pid has more digits than there is room for. */
static void
join(char text[64], const char *head, uint32_t number, const char *tail)
{
	struct vmt_text_out out = vmt_text_out_begin(text, 64);

	vmt_text_put(&out, head);
	vmt_text_put_decimal(&out, number);
	vmt_text_put(&out, tail);
}

/* /tmp of the process's root; a link is not followed: it would lead through this process's own. */
static int
open_tmp(uint32_t pid)
{
	char path[64];
	int root, directory;

	join(path, "/proc/", pid, "/root");
	root = vmt_sys_open(path, O_PATH | O_DIRECTORY, 0);
	if (root < 0)
		return root;
	directory = open_at(root, "tmp", O_PATH | O_DIRECTORY);
	vmt_sys_close(root);
	return directory;
}

/* Of the file, or of the descriptor where the name is empty; 0: not known (before Linux 5.8). */
static uint64_t
mount_of(int directory, const char *name)
{
	struct statx_mount status = {.mask = 0};
	long result =
	    vmt_sys_call6(SYS_statx, directory, (long)name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH,
			  MOUNT_WANTED, (long)&status, 0);

	return result == 0 && (status.mask & MOUNT_WANTED) ? status.mount : 0;
}

/* Whether the process could open a file of this owner by being the owner. Who owns /proc/PID says
 * nothing of it: that is root where the process can't be dumped. */
static bool
is_owner(uint32_t pid, uint64_t owner)
{
	struct vmt_procfs_status status;
	int fd = vmt_procfs_open(pid, "status");
	bool is_known = fd >= 0 && vmt_procfs_read_status(fd, &status);

	if (fd >= 0)
		vmt_sys_close(fd);
	return is_known && status.file_user == owner &&
	       (owner != 0 || vmt_procfs_shares_users(pid));
}

/* Whoever may read the trace gets to see the map. */
static bool
is_trace_owner_or_root(const struct vmt_writer *writer, uint64_t owner)
{
	struct stat trace;

	return status_at(writer->fd, "", AT_EMPTY_PATH, &trace) &&
	       (trace.st_uid == owner || trace.st_uid == 0);
}

/* A look at what lies in the map's place. */
struct sight {
	const struct vmt_jit_copy_job *job;
	const struct vmt_writer *writer;
	uint64_t tmp_mount;
	struct stat *status;
};

/* No file is read that the process could not read itself. A mount over the map's place, which it
 * can make in a namespace of its own, may show anybody's file. An empty name: the descriptor. */
static bool
is_trusted(const struct sight *sight, int directory, const char *name)
{
	struct stat *status = sight->status;

	return status_at(directory, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, status) &&
	       S_ISREG(status->st_mode) && (status->st_mode & S_IRUSR) &&
	       mount_of(directory, name) == sight->tmp_mount &&
	       is_owner(sight->job->pid, status->st_uid) &&
	       is_trace_owner_or_root(sight->writer, status->st_uid);
}

/* What it is, is asked before it is opened: a device may do something when it is. */
static int
open_map(const struct vmt_jit_copy_job *job, const struct vmt_writer *writer, struct stat *status)
{
	char name[64];
	int directory = open_tmp(job->pid);
	struct sight sight = {job, writer, 0, status};
	int fd = -ENOENT;

	if (directory < 0)
		return directory;
	join(name, "perf-", job->head->pid, ".map");
	sight.tmp_mount = mount_of(directory, "");
	if (is_trusted(&sight, directory, name))
		fd = open_at(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	vmt_sys_close(directory);
	if (fd >= 0 && !is_trusted(&sight, fd, "")) {
		vmt_sys_close(fd);
		return -EPERM;
	}
	return fd;
}

static uint64_t
modified_ns(const struct stat *status)
{
	return (uint64_t)status->st_mtim.tv_sec * 1000000000u + (uint64_t)status->st_mtim.tv_nsec;
}

/* Whether what was before the offset is there still. */
static bool
goes_on(const struct vmt_jit_copy_state *state, int fd, const struct stat *status)
{
	unsigned char tail[TAIL_BYTES];

	if (state->inode != status->st_ino || state->device != status->st_dev ||
	    (uint64_t)status->st_size < state->offset)
		return false;
	return vmt_sys_pread(fd, tail, state->tail_bytes, state->offset - state->tail_bytes) ==
		   (long)state->tail_bytes &&
	       hash_of(tail, state->tail_bytes) == state->tail_hash;
}

static void
remember_tail(struct vmt_jit_copy_state *state, int fd)
{
	unsigned char tail[TAIL_BYTES];
	uint32_t wanted = state->offset < TAIL_BYTES ? (uint32_t)state->offset : TAIL_BYTES;
	long got = vmt_sys_pread(fd, tail, wanted, state->offset - wanted);

	state->tail_bytes = got == (long)wanted ? wanted : 0;
	state->tail_hash = hash_of(tail, state->tail_bytes);
}

/* Where to go on. The first map may be left over from a process that had this pid before. */
static uint32_t
find_place(const struct vmt_jit_copy_job *job, int fd, const struct stat *status)
{
	struct vmt_jit_copy_state *state = job->state;
	bool is_first = state->inode == 0;

	if (!is_first && goes_on(state, fd, status))
		return 0;
	state->inode = status->st_ino;
	state->device = status->st_dev;
	state->tail_bytes = 0;
	state->tail_hash = hash_of(NULL, 0);
	state->offset = is_first && modified_ns(status) + COARSE_NS < job->head->start_unix_ns
			    ? (uint64_t)status->st_size
			    : 0;
	return is_first ? 0 : VMT_JIT_ANEW;
}

/* Whole lines, or all where there is no end of one. */
static size_t
whole_lines(const unsigned char *bytes, size_t length)
{
	size_t whole = length;

	while (whole > 0 && bytes[whole - 1] != '\n')
		whole--;
	return whole == 0 && length == PART_BYTES ? length : whole;
}

/* One part; the bytes taken, 0 where there is no more, or negative errno. */
static long
copy_part(const struct vmt_jit_copy_job *job, struct vmt_writer *writer, int fd, uint32_t *flags)
{
	struct vmt_jit_copy_state *state = job->state;
	struct vmt_jit_head head = {.offset = state->offset, .flags = *flags};
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_JIT};
	unsigned char *bytes = job->scratch->bytes + sizeof(head);
	long got = vmt_sys_pread(fd, bytes, PART_BYTES, state->offset);
	size_t length = got > 0 ? whole_lines(bytes, (size_t)got) : 0;
	int result;

	if (length > VMT_JIT_COPY_TRACE_BYTES - state->copied) {
		state->is_full = true;
		head.flags |= VMT_JIT_CUT;
		length = 0;
	}
	if (length == 0 && !state->is_full)
		return got < 0 ? got : 0;
	/* What was read may be a successor's. */
	if (!vmt_procfs_is_mapped(job->maps_fd))
		return -ESRCH;
	head.bytes = (uint32_t)length;
	head.time = chunk.time_min = chunk.time_max = vmt_trace_clock_now(job->head->clock);
	memcpy(job->scratch->bytes, &head, sizeof(head));
	result = vmt_writer_append(writer, &chunk, job->scratch->bytes, sizeof(head) + length);
	if (result < 0)
		return result;
	*flags = 0;
	state->offset += length;
	state->copied += length;
	return (long)length;
}

int
vmt_jit_copy_take(const struct vmt_jit_copy_job *job, struct vmt_writer *writer)
{
	struct vmt_jit_copy_state *state = job->state;
	uint64_t until_ns = vmt_ticks_monotonic_ns() + LOOK_NS;
	uint64_t looked = 0;
	struct stat status = {.st_size = 0};
	uint32_t flags;
	long got;
	int fd;

	if (state->is_full || job->maps_fd < 0)
		return 0;
	fd = open_map(job, writer, &status);
	if (fd < 0)
		return fd;
	flags = find_place(job, fd, &status);
	got = (uint64_t)status.st_size > state->offset &&
		      vmt_buffer_reserve(job->scratch, sizeof(struct vmt_jit_head) + PART_BYTES)
		  ? 1
		  : 0;
	/* One part at the least, or VMT_JIT_ANEW would be forgotten. */
	while (got > 0 && !state->is_full && looked < VMT_JIT_COPY_LOOK_BYTES &&
	       (looked == 0 || vmt_ticks_monotonic_ns() < until_ns)) {
		got = copy_part(job, writer, fd, &flags);
		looked += got > 0 ? (uint64_t)got : 0;
	}
	remember_tail(state, fd);
	vmt_sys_close(fd);
	return got < 0 ? (int)got : 0;
}
