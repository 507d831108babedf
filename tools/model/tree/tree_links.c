#include "tools/model/tree/tree_links.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MOST_STEPS 64u

/* Processes in an order of their own, to be searched. */
struct order {
	const struct vmt_tree_process **all;
	size_t count;
};

static int
compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_pids(const struct vmt_tree_process *a, const struct vmt_tree_process *b)
{
	int order = memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id));

	return order ? order : compare_u64(a->pid, b->pid);
}

static int
by_pid(const void *left, const void *right)
{
	const struct vmt_tree_process *a = *(const struct vmt_tree_process *const *)left;
	const struct vmt_tree_process *b = *(const struct vmt_tree_process *const *)right;
	int order = compare_pids(a, b);

	return order ? order : compare_u64((uint64_t)a->start_ns, (uint64_t)b->start_ns);
}

static int
by_id(const void *left, const void *right)
{
	const struct vmt_tree_process *a = *(const struct vmt_tree_process *const *)left;
	const struct vmt_tree_process *b = *(const struct vmt_tree_process *const *)right;

	return compare_u64(a->random_id, b->random_id);
}

static bool
sort(struct order *order, const struct vmt_tree_process *processes, size_t count,
     int (*compare)(const void *, const void *))
{
	order->all = calloc(count ? count : 1, sizeof(*order->all));
	order->count = count;
	if (!order->all)
		return false;
	for (size_t i = 0; i < count; i++)
		order->all[i] = &processes[i];
	qsort(order->all, count, sizeof(*order->all), compare);
	return true;
}

/* The first in the order that is above the key, or the first that is not below it. */
static size_t
find_bound(const struct order *order, const struct vmt_tree_process *key,
	   int (*compare)(const void *, const void *), bool above)
{
	size_t from = 0;
	size_t to = order->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int way = compare(&order->all[middle], &key);

		if (way < 0 || (above && way == 0))
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool
is_numbered_alike(const struct vmt_tree_process *a, const struct vmt_tree_process *b)
{
	return a->namespace == 0 || b->namespace == 0 || a->namespace == b->namespace;
}

/* Whether one may be an earlier image of the process of another. */
static bool
is_earlier_image(const struct vmt_tree_process *one, const struct vmt_tree_process *process)
{
	return one != process && one->start_ticks == process->start_ticks &&
	       one->start_ns < process->start_ns && is_numbered_alike(one, process) &&
	       !one->is_snapshot && strcmp(one->end, "running") != 0;
}

/* Whether one may be the parent that a process names. Its trace may end some time before it did:
 * where nobody saw its end. */
static bool
is_parent(const struct vmt_tree_process *one, const struct vmt_tree_process *process)
{
	return one != process && one->start_ns <= process->start_ns &&
	       one->end_ns >= process->start_ns && one->start_ticks <= process->start_ticks &&
	       is_numbered_alike(one, process);
}

/* Whether two that fit are images of one process, the one later than the other. */
static bool
is_same_process(const struct vmt_tree_process *later, const struct vmt_tree_process *one)
{
	return later->start_ticks == one->start_ticks && is_numbered_alike(later, one) &&
	       later->start_ns != one->start_ns;
}

/* Of those with a pid the newest that fits. Another process that fits as well makes it ambiguous.
 * A pid comes back seldom: of many that had it before, the last ones are looked at. */
static const struct vmt_tree_process *
find_pid(const struct order *order, struct vmt_tree_process *process, uint32_t pid,
	 bool (*fits)(const struct vmt_tree_process *, const struct vmt_tree_process *))
{
	struct vmt_tree_process key = *process;
	const struct vmt_tree_process *found = NULL;
	size_t at;

	key.pid = pid;
	at = find_bound(order, &key, by_pid, true);
	for (size_t steps = 0; at-- > 0 && steps < MOST_STEPS; steps++) {
		const struct vmt_tree_process *one = order->all[at];

		if (compare_pids(one, &key) != 0)
			break;
		if (!fits(one, process))
			continue;
		if (found && !is_same_process(found, one))
			process->is_ambiguous = true;
		found = found ? found : one;
	}
	return process->is_ambiguous ? NULL : found;
}

/* A copy of a trace has its id, too. */
static const struct vmt_tree_process *
find_id(const struct order *order, struct vmt_tree_process *process)
{
	struct vmt_tree_process key = {.random_id = process->forked_from};
	size_t at = find_bound(order, &key, by_id, false);

	if (at == order->count || order->all[at]->random_id != key.random_id ||
	    order->all[at] == process)
		return NULL;
	process->is_ambiguous =
	    at + 1 < order->count && order->all[at + 1]->random_id == key.random_id;
	return process->is_ambiguous ? NULL : order->all[at];
}

static void
link_one(struct vmt_tree_process *processes, struct vmt_tree_process *process,
	 const struct order *pids, const struct order *ids)
{
	const struct vmt_tree_process *parent = NULL;

	process->parent = VMT_TREE_NONE;
	process->origin = VMT_TREE_ROOT;
	if (process->forked_from != 0) {
		parent = find_id(ids, process);
		process->origin = VMT_TREE_FORK;
	} else {
		parent = find_pid(pids, process, process->pid, is_earlier_image);
		process->origin = VMT_TREE_EXEC;
	}
	if (!parent && process->forked_from == 0 && !process->is_ambiguous) {
		parent = find_pid(pids, process, process->parent_pid, is_parent);
		process->origin = VMT_TREE_SPAWN;
	}
	if (parent)
		process->parent = (size_t)(parent - processes);
	else
		process->origin = VMT_TREE_ROOT;
}

/* Whether a trace that was made from outside, and a later one, are of one image of one process. */
static bool
is_continued_by(const struct vmt_tree_process *one, const struct vmt_tree_process *later)
{
	return one->is_outside && one->forked_from != 0 && one->forked_from == later->forked_from &&
	       one->start_ticks == later->start_ticks && compare_pids(one, later) == 0 &&
	       is_numbered_alike(one, later) && strcmp(one->end, "running") != 0;
}

/* The later one takes over, and what is known of RSS before. In the order of pids and times. */
static void
join_continued(struct vmt_tree_process *processes, const struct order *pids)
{
	for (size_t i = 0; i + 1 < pids->count; i++) {
		struct vmt_tree_process *one = &processes[pids->all[i] - processes];
		struct vmt_tree_process *later = &processes[pids->all[i + 1] - processes];

		if (!is_continued_by(one, later))
			continue;
		one->continued = (size_t)(later - processes);
		if (one->end_ns > later->start_ns)
			one->end_ns = one->leaves_ns = later->start_ns;
		while (one->point_count > 0 &&
		       one->points[one->point_count - 1].time_ns >= later->start_ns)
			one->point_count--;
		if (one->peak_rss_bytes > later->peak_rss_bytes)
			later->peak_rss_bytes = one->peak_rss_bytes;
	}
}

/* Traces may be made to name one another in a circle: who is met again has no parent. */
static void
cut_circles(struct vmt_tree_process *processes, size_t count)
{
	/* tree serves as a mark: of whom the way to the root was begun. */
	for (size_t i = 0; i < count; i++)
		processes[i].tree = VMT_TREE_NONE;
	for (size_t i = 0; i < count; i++) {
		size_t at = i;

		while (at != VMT_TREE_NONE && processes[at].tree == VMT_TREE_NONE) {
			size_t parent = processes[at].parent;

			processes[at].tree = i;
			if (parent != VMT_TREE_NONE && processes[parent].tree == i) {
				processes[at].parent = VMT_TREE_NONE;
				processes[at].origin = VMT_TREE_ROOT;
				processes[at].is_ambiguous = true;
				break;
			}
			at = parent;
		}
	}
}

/* Numbers the families, and marks each process with its own. Each step is taken once: who is
 * marked on the way ends it. */
static size_t
number_families(struct vmt_tree_process *processes, size_t count)
{
	size_t families = 0;

	for (size_t i = 0; i < count; i++)
		processes[i].tree =
		    processes[i].parent == VMT_TREE_NONE ? families++ : VMT_TREE_NONE;
	for (size_t i = 0; i < count; i++) {
		size_t root = i;

		while (processes[root].tree == VMT_TREE_NONE)
			root = processes[root].parent;
		for (size_t at = i; processes[at].tree == VMT_TREE_NONE; at = processes[at].parent)
			processes[at].tree = processes[root].tree;
	}
	return families;
}

size_t
vmt_tree_links_find(struct vmt_tree_process *processes, size_t count)
{
	struct order pids = {0};
	struct order ids = {0};
	size_t families = SIZE_MAX;

	if (sort(&pids, processes, count, by_pid) && sort(&ids, processes, count, by_id)) {
		for (size_t i = 0; i < count; i++)
			link_one(processes, &processes[i], &pids, &ids);
		join_continued(processes, &pids);
		cut_circles(processes, count);
		families = number_families(processes, count);
	}
	free(pids.all);
	free(ids.all);
	return families;
}
