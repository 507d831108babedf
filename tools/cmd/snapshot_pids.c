#include "tools/cmd/snapshot_pids.h"

#include "base/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct link {
	uint32_t pid;
	uint32_t parent;
};

static int
add(struct vmt_snapshot_pids *pids, uint32_t pid)
{
	for (size_t i = 0; i < pids->count; i++)
		if (pids->all[i] == pid)
			return 0;
	if (pids->count == pids->room) {
		size_t room = pids->room ? pids->room * 2 : 16;
		uint32_t *all = reallocarray(pids->all, room, sizeof(*all));

		if (!all)
			return -ENOMEM;
		pids->all = all;
		pids->room = room;
	}
	pids->all[pids->count++] = pid;
	return 0;
}

static bool
read_pid(const char *word, uint32_t *pid)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(word, &end, 10);
	*pid = (uint32_t)value;
	return *word >= '0' && *word <= '9' && !*end && !errno && value != 0 && value <= INT32_MAX;
}

static uint32_t
parent_of(uint32_t pid)
{
	struct vmt_procfs_stat stat = {.parent_pid = 0};
	int fd = vmt_procfs_open(pid, "stat");

	if (fd < 0)
		return 0;
	if (!vmt_procfs_read_stat(fd, &stat))
		stat.parent_pid = 0;
	close(fd);
	return (uint32_t)stat.parent_pid;
}

/* Every process and its parent. NULL: none can be listed, or no memory. */
static struct link *
list_all(size_t *count)
{
	DIR *proc = opendir("/proc");
	struct link *links = NULL;
	size_t room = 0;
	struct dirent *entry;

	*count = 0;
	while (proc && (entry = readdir(proc))) {
		uint32_t pid;

		if (!read_pid(entry->d_name, &pid))
			continue;
		if (*count == room) {
			struct link *more = reallocarray(links, room * 2 + 256, sizeof(*links));

			if (!more)
				break;
			links = more;
			room = room * 2 + 256;
		}
		links[(*count)++] = (struct link){pid, parent_of(pid)};
	}
	if (proc)
		closedir(proc);
	return links;
}

static int
add_descendants(struct vmt_snapshot_pids *pids)
{
	size_t count;
	struct link *links = list_all(&count);
	int result = links ? 0 : -ENOMEM;
	uint32_t own = (uint32_t)getpid();

	for (size_t i = 0; i < pids->count && result == 0; i++)
		for (size_t j = 0; j < count && result == 0; j++)
			if (links[j].parent == pids->all[i] && links[j].pid != own)
				result = add(pids, links[j].pid);
	free(links);
	return result;
}

int
vmt_snapshot_pids_read(struct vmt_snapshot_pids *pids, char *const *words, int count,
		       bool with_descendants, struct vmt_err *err)
{
	int result = 0;
	uint32_t pid;

	*pids = (struct vmt_snapshot_pids){.all = NULL};
	for (int i = 0; i < count && result == 0; i++) {
		if (!read_pid(words[i], &pid))
			return vmt_err_set(err, EINVAL, "'%s' is not a process id", words[i]);
		result = add(pids, pid);
	}
	pids->named = pids->count;
	if (result == 0 && with_descendants)
		result = add_descendants(pids);
	return result < 0
		   ? vmt_err_set(err, -result, "processes can't be listed: %s", strerror(-result))
		   : 0;
}

void
vmt_snapshot_pids_free(struct vmt_snapshot_pids *pids)
{
	free(pids->all);
	*pids = (struct vmt_snapshot_pids){.all = NULL};
}
