#include "tools/cmd/snapshot_pids.h"

#include "base/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct link {
	uint32_t pid;
	uint32_t parent;
	uint64_t start;
	bool is_taken;
};

/* What is not known is 0. */
static struct link
link_of(uint32_t pid)
{
	struct vmt_procfs_stat stat = {.parent_pid = 0};
	int fd = vmt_procfs_open(pid, "stat");
	bool is_read = fd >= 0 && vmt_procfs_read_stat(fd, &stat);

	if (fd >= 0)
		close(fd);
	if (!is_read)
		return (struct link){.pid = pid};
	return (struct link){
	    .pid = pid, .parent = (uint32_t)stat.parent_pid, .start = stat.start_ticks};
}

/* Whether it is among the first so many. */
static bool
is_there(const struct vmt_snapshot_pids *pids, size_t count, const struct link *process)
{
	for (size_t i = 0; i < count; i++)
		if (pids->all[i] == process->pid && pids->starts[i] == process->start)
			return true;
	return false;
}

static bool
grow(struct vmt_snapshot_pids *pids)
{
	size_t room = pids->room ? pids->room * 2 : 16;
	uint32_t *all = reallocarray(pids->all, room, sizeof(*all));
	uint64_t *starts;

	if (!all)
		return false;
	pids->all = all;
	starts = reallocarray(pids->starts, room, sizeof(*starts));
	if (!starts)
		return false;
	pids->starts = starts;
	pids->room = room;
	return true;
}

static int
add(struct vmt_snapshot_pids *pids, const struct link *process)
{
	if (pids->count == pids->room && !grow(pids))
		return -ENOMEM;
	pids->starts[pids->count] = process->start;
	pids->all[pids->count++] = process->pid;
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

static int
compare_parents(const void *a, const void *b)
{
	const struct link *one = a;
	const struct link *other = b;

	return one->parent < other->parent ? -1 : one->parent > other->parent;
}

/* Every process and its parent, sorted by parent. 0, or negative errno: the caller frees *links in
 * either case. */
static int
list_all(struct link **links, size_t *count)
{
	DIR *proc = opendir("/proc");
	size_t room = 0;
	struct dirent *entry;
	int result = 0;

	*links = NULL;
	*count = 0;
	if (!proc)
		return -errno;
	while (result == 0 && (entry = readdir(proc))) {
		uint32_t pid;

		if (!read_pid(entry->d_name, &pid))
			continue;
		if (*count == room) {
			struct link *more = reallocarray(*links, room * 2 + 256, sizeof(*more));

			if (!more) {
				result = -ENOMEM;
				break;
			}
			*links = more;
			room = room * 2 + 256;
		}
		(*links)[(*count)++] = link_of(pid);
	}
	closedir(proc);
	if (*count != 0)
		qsort(*links, *count, sizeof(**links), compare_parents);
	return result;
}

/* The first of those whose parent this is. */
static size_t
first_child(const struct link *links, size_t count, uint32_t parent)
{
	size_t low = 0;

	while (count > 0) {
		size_t half = count / 2;

		if (links[low + half].parent < parent) {
			low += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return low;
}

/* The list grows while it is read, until nobody in it has a child left. */
int
vmt_snapshot_pids_extend(struct vmt_snapshot_pids *pids)
{
	uint32_t own = (uint32_t)getpid();
	size_t known = pids->count;
	struct link *links;
	size_t count;
	int result = list_all(&links, &count);

	for (size_t i = 0; i < pids->count && result == 0; i++) {
		uint32_t parent = pids->all[i];
		size_t first = first_child(links, count, parent);

		if (first == count || links[first].parent != parent ||
		    link_of(parent).start != pids->starts[i])
			continue;
		for (size_t j = first; j < count && links[j].parent == parent && result == 0; j++) {
			if (links[j].is_taken || links[j].pid == own ||
			    is_there(pids, known, &links[j]))
				continue;
			links[j].is_taken = true;
			result = add(pids, &links[j]);
		}
	}
	free(links);
	return result;
}

int
vmt_snapshot_pids_read(struct vmt_snapshot_pids *pids, char *const *words, int count,
		       bool with_descendants, struct vmt_err *err)
{
	int result = 0;
	struct link process;
	uint32_t pid;

	*pids = (struct vmt_snapshot_pids){.all = NULL};
	for (int i = 0; i < count && result == 0; i++) {
		if (!read_pid(words[i], &pid))
			return vmt_err_set(err, EINVAL, "'%s' is not a process id", words[i]);
		process = link_of(pid);
		if (!is_there(pids, pids->count, &process))
			result = add(pids, &process);
		pids->named = pids->count;
	}
	if (result == 0 && with_descendants)
		result = vmt_snapshot_pids_extend(pids);
	return result < 0
		   ? vmt_err_set(err, -result, "processes can't be listed: %s", strerror(-result))
		   : 0;
}

void
vmt_snapshot_pids_free(struct vmt_snapshot_pids *pids)
{
	free(pids->all);
	free(pids->starts);
	*pids = (struct vmt_snapshot_pids){.all = NULL};
}
