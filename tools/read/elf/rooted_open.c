#include "tools/read/elf/rooted_open.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX 40u /* as the kernel has it */
#define DEPTH_MAX 128u

/* Where the walk is: the directories from the root on, and what is left of the path. */
struct walk {
	int held[DEPTH_MAX]; /* the first is the caller's */
	unsigned depth;	     /* of the innermost */
	unsigned links;
	char left[PATH_MAX];
};

static void
ascend(struct walk *walk, unsigned depth)
{
	while (walk->depth > depth)
		close(walk->held[walk->depth--]);
}

/* Takes the first name off what is left; false where none is. */
static bool
take_name(struct walk *walk, char name[NAME_MAX + 1])
{
	size_t from = strspn(walk->left, "/");
	size_t length = strcspn(walk->left + from, "/");

	if (length == 0 || length > NAME_MAX)
		return false;
	memcpy(name, walk->left + from, length);
	name[length] = '\0';
	memmove(walk->left, walk->left + from + length, strlen(walk->left + from + length) + 1);
	return true;
}

/* Puts what a link says in front of what is left. */
static int
follow(struct walk *walk, const char *name)
{
	char target[PATH_MAX];
	char joined[2 * PATH_MAX];
	ssize_t length = readlinkat(walk->held[walk->depth], name, target, sizeof(target) - 1);

	if (length < 0)
		return -errno;
	target[length] = '\0';
	if (length == 0 || ++walk->links > LINKS_MAX)
		return -ELOOP;
	snprintf(joined, sizeof(joined), "%s/%s", target, walk->left);
	if (strlen(joined) >= sizeof(walk->left))
		return -ENAMETOOLONG;
	memcpy(walk->left, joined, strlen(joined) + 1);
	if (target[0] == '/')
		ascend(walk, 0);
	return 0;
}

static bool
is_last(const struct walk *walk)
{
	return walk->left[strspn(walk->left, "/")] == '\0';
}

/* One name: a directory is entered, a link followed. The descriptor of the last one goes to
 * *opened. */
static int
step(struct walk *walk, const char *name, int flags, int *opened)
{
	bool last = is_last(walk);
	int fd;

	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		ascend(walk, walk->depth ? walk->depth - 1 : 0);
		return 0;
	}
	fd = openat(walk->held[walk->depth], name,
		    O_NOFOLLOW | (last ? flags : O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0 && (errno == ELOOP || (!last && errno == ENOTDIR)))
		return follow(walk, name);
	if (fd < 0)
		return -errno;
	if (last) {
		*opened = fd;
		return 0;
	}
	if (walk->depth + 1 == DEPTH_MAX) {
		close(fd);
		return -ENAMETOOLONG;
	}
	walk->held[++walk->depth] = fd;
	return 0;
}

int
vmt_rooted_open_by_steps(int root, const char *path, int flags)
{
	struct walk walk = {.held = {root}};
	char name[NAME_MAX + 1];
	int opened = -1;
	int result = strlen(path) < sizeof(walk.left) ? 0 : -ENAMETOOLONG;

	assert((flags & O_CREAT) == 0);
	if (result == 0)
		memcpy(walk.left, path, strlen(path) + 1);
	while (result == 0 && opened < 0) {
		if (!take_name(&walk, name))
			result = -ENOENT; /* a directory, or a name that is too long */
		else
			result = step(&walk, name, flags, &opened);
	}
	ascend(&walk, 0);
	errno = -result;
	return opened;
}

int
vmt_rooted_open(const char *root, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned long long)flags, .resolve = RESOLVE_IN_ROOT};
	int error;
	int fd;
	int at;

	if (!root)
		return open(path, flags);
	at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, at, path, &how, sizeof(how));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN))
		fd = vmt_rooted_open_by_steps(at, path, flags);
	error = errno;
	close(at);
	errno = error;
	return fd;
}
