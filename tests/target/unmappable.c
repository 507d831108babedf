/*
 * unmappable: runs a program beside a file system that maps no file shared.
 *
 *     unmappable DIRECTORY BACKING PROGRAM ...
 *
 * Mounts a FUSE file system of its own at DIRECTORY, which passes everything on to the files of
 * BACKING, lets all input and output go round the page cache (FOPEN_DIRECT_IO, so that mmap of a
 * shared mapping gives ENODEV) and knows no fallocate. Ends with the program's status, after the
 * last file on it was closed: then all is in BACKING that will ever be. 125: no such file system
 * can be mounted here. Needs root and a mount namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT 125
#define NAMES_MAX 4096
#define WRITE_MAX (128 << 10)

static int device;
static int backing;
static char names[NAMES_MAX][NAME_MAX + 1];
static uint64_t used;

static const char *
name_of(uint64_t node)
{
	return node >= 2 && node - 2 < used ? names[node - 2] : ".";
}

static uint64_t
node_of(const char *name)
{
	for (uint64_t i = 0; i < used; i++)
		if (strcmp(names[i], name) == 0)
			return i + 2;
	if (used == NAMES_MAX)
		return 0;
	strncpy(names[used], name, NAME_MAX);
	return used++ + 2;
}

static void
answer(uint64_t unique, int error, const void *body, size_t bytes)
{
	struct fuse_out_header header = {
	    .len = (uint32_t)(sizeof(header) + bytes), .error = -error, .unique = unique};
	struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)(uintptr_t)body, bytes}};

	if (writev(device, parts, 2) < 0 && errno != ENOENT)
		perror("unmappable");
}

static struct fuse_attr
attributes_of(uint64_t node, const struct stat *status)
{
	return (struct fuse_attr){
	    .ino = node,
	    .size = (uint64_t)status->st_size,
	    .blocks = (uint64_t)status->st_blocks,
	    .mtime = (uint64_t)status->st_mtime,
	    .mode = status->st_mode,
	    .nlink = (uint32_t)status->st_nlink,
	    .uid = status->st_uid,
	    .gid = status->st_gid,
	    .blksize = 4096,
	};
}

static int
find(const char *name, struct fuse_entry_out *entry)
{
	struct stat status;

	memset(entry, 0, sizeof(*entry));
	if (fstatat(backing, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	entry->nodeid = node_of(name);
	entry->attr = attributes_of(entry->nodeid, &status);
	return entry->nodeid != 0 ? 0 : ENOMEM;
}

static void
look_up(const struct fuse_in_header *header, const char *name)
{
	struct fuse_entry_out entry;
	int error = find(name, &entry);

	answer(header->unique, error, &entry, error == 0 ? sizeof(entry) : 0);
}

static void
get_attributes(const struct fuse_in_header *header, int fd)
{
	struct fuse_attr_out out = {0};
	struct stat status;
	int result =
	    fd >= 0 ? fstat(fd, &status) : fstatat(backing, name_of(header->nodeid), &status, 0);

	if (result < 0) {
		answer(header->unique, errno, NULL, 0);
		return;
	}
	out.attr = attributes_of(header->nodeid, &status);
	answer(header->unique, 0, &out, sizeof(out));
}

static void
set_attributes(const struct fuse_in_header *header, const struct fuse_setattr_in *in)
{
	int fd = in->valid & FATTR_FH
		     ? (int)in->fh
		     : openat(backing, name_of(header->nodeid), O_RDWR | O_CLOEXEC);

	if (in->valid & FATTR_SIZE && ftruncate(fd, (off_t)in->size) < 0)
		answer(header->unique, errno, NULL, 0);
	else
		get_attributes(header, fd);
	if (!(in->valid & FATTR_FH))
		close(fd);
}

static void
open_file(const struct fuse_in_header *header, const char *name, int flags, unsigned mode)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = {.open.open_flags = FOPEN_DIRECT_IO};
	int fd = openat(backing, name, (flags & ~O_NOFOLLOW) | O_CLOEXEC, mode);
	int error = fd < 0 ? errno : find(name, &out.entry);

	out.open.fh = (uint64_t)fd;
	if (error != 0)
		answer(header->unique, error, NULL, 0);
	else if (header->opcode == FUSE_CREATE)
		answer(header->unique, 0, &out, sizeof(out));
	else
		answer(header->unique, 0, &out.open, sizeof(out.open));
}

static void
read_file(const struct fuse_in_header *header, const struct fuse_read_in *in)
{
	static char bytes[WRITE_MAX];
	ssize_t length = pread((int)in->fh, bytes, in->size < WRITE_MAX ? in->size : WRITE_MAX,
			       (off_t)in->offset);

	answer(header->unique, length < 0 ? errno : 0, bytes, length < 0 ? 0 : (size_t)length);
}

static void
write_file(const struct fuse_in_header *header, const struct fuse_write_in *in)
{
	ssize_t length = pwrite((int)in->fh, in + 1, in->size, (off_t)in->offset);
	struct fuse_write_out out = {.size = length < 0 ? 0 : (uint32_t)length};

	answer(header->unique, length < 0 ? errno : 0, &out, length < 0 ? 0 : sizeof(out));
}

static void
begin(const struct fuse_in_header *header)
{
	struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
				    .minor = FUSE_KERNEL_MINOR_VERSION,
				    .max_write = WRITE_MAX,
				    .time_gran = 1};

	answer(header->unique, 0, &out, sizeof(out));
}

static void
serve_one(const struct fuse_in_header *header, const void *body)
{
	const struct fuse_getattr_in *getattr = body;
	const struct fuse_create_in *create = body;
	const struct fuse_open_in *open_in = body;

	switch (header->opcode) {
	case FUSE_INIT:
		begin(header);
		break;
	case FUSE_LOOKUP:
		look_up(header, body);
		break;
	case FUSE_GETATTR:
		get_attributes(header,
			       getattr->getattr_flags & FUSE_GETATTR_FH ? (int)getattr->fh : -1);
		break;
	case FUSE_SETATTR:
		set_attributes(header, body);
		break;
	case FUSE_CREATE:
		open_file(header, (const char *)(create + 1), (int)create->flags | O_CREAT,
			  create->mode);
		break;
	case FUSE_OPEN:
		open_file(header, name_of(header->nodeid), (int)open_in->flags, 0);
		break;
	case FUSE_READ:
		read_file(header, body);
		break;
	case FUSE_WRITE:
		write_file(header, body);
		break;
	case FUSE_UNLINK:
		answer(header->unique, unlinkat(backing, body, 0) < 0 ? errno : 0, NULL, 0);
		break;
	case FUSE_RELEASE:
		close((int)((const struct fuse_release_in *)body)->fh);
		answer(header->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(header->unique, ENOSYS, NULL, 0);
	}
}

/* Until nobody uses the file system any more: then the kernel ends the connection. */
static void
serve(void)
{
	static _Alignas(8) char buffer[WRITE_MAX + 4096];

	for (;;) {
		ssize_t bytes = read(device, buffer, sizeof(buffer));
		const struct fuse_in_header *header = (const void *)buffer;

		if (bytes >= (ssize_t)sizeof(*header))
			serve_one(header, header + 1);
		else if (bytes >= 0 || (errno != EINTR && errno != ENOENT && errno != EAGAIN))
			return;
	}
}

static int
mount_at(const char *directory)
{
	char options[128];

	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -1;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 device);
	return mount("unmappable", directory, "fuse", MS_NOSUID | MS_NODEV, options);
}

int
main(int argc, char **argv)
{
	int status = 0;
	pid_t server;
	pid_t program;

	if (argc < 4)
		return CANNOT;
	backing = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (backing < 0 || mount_at(argv[1]) < 0) {
		perror("unmappable: mount");
		return CANNOT;
	}
	server = fork();
	if (server == 0) {
		serve();
		_exit(0);
	}
	close(device);
	program = fork();
	if (program == 0) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	waitpid(program, &status, 0);
	umount2(argv[1], MNT_DETACH);
	waitpid(server, NULL, 0);
	if (WIFSIGNALED(status))
		raise(WTERMSIG(status));
	return WEXITSTATUS(status);
}
