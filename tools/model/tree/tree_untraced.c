#include "tools/model/tree/tree_untraced.h"

#include "tools/read/trace/untraced_records.h"

#include <stdlib.h>

/* Of a family: those beyond are counted, each as often as it is told of. */
#define MOST_KEPT 65536u

struct one {
	uint64_t random_id; /* 0: it never had a trace */
	uint32_t pid;
	bool is_there;
	bool is_brief;
	uint64_t private_bytes;
	uint64_t start_ns;
};

/* Of a process with a trace. */
struct traced {
	uint64_t random_id;
	uint64_t pid;
};

struct counting {
	struct vmt_tree_family *family;
	struct one *all;
	size_t count;
	size_t room;
	struct traced *ids;  /* by random_id */
	struct traced *pids; /* of fork children, by pid */
	size_t traces;
	bool has_memory;
};

static int
compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
by_id(const void *left, const void *right)
{
	return compare_u64(((const struct traced *)left)->random_id,
			   ((const struct traced *)right)->random_id);
}

static int
by_pid(const void *left, const void *right)
{
	return compare_u64(((const struct traced *)left)->pid, ((const struct traced *)right)->pid);
}

/* Readings of one process side by side, that with most first. */
static int
by_process(const void *left, const void *right)
{
	const struct one *a = left;
	const struct one *b = right;
	int order = compare_u64(a->random_id, b->random_id);

	if (order == 0)
		order = compare_u64(a->pid, b->pid);
	if (order == 0 && a->random_id == 0)
		order = compare_u64(a->start_ns, b->start_ns);
	/* What is not known is the largest number. */
	return order ? order : compare_u64(b->private_bytes + 1, a->private_bytes + 1);
}

static bool
has_trace(const struct counting *counting, const struct vmt_untraced *record)
{
	struct traced key = {record->random_id, record->pid};

	if (record->random_id != 0)
		return bsearch(&key, counting->ids, counting->traces, sizeof(key), by_id) != NULL;
	return bsearch(&key, counting->pids, counting->traces, sizeof(key), by_pid) != NULL;
}

static bool
has_room(struct counting *counting)
{
	size_t room = counting->room ? 2 * counting->room : 64;
	struct one *all;

	if (counting->count < counting->room)
		return true;
	all = room <= MOST_KEPT ? realloc(counting->all, room * sizeof(*all)) : NULL;
	if (!all)
		return false;
	counting->all = all;
	counting->room = room;
	return true;
}

static void
take(struct vmt_tree_untraced *untraced, const struct one *one, bool is_there)
{
	bool is_read = one->private_bytes != VMT_FIGURE_UNKNOWN;

	untraced->told++;
	if (one->is_brief) {
		untraced->brief += is_there;
		return;
	}
	untraced->there += is_there;
	if (!is_read) {
		untraced->unread += is_there;
		return;
	}
	if (one->private_bytes > untraced->ever_private_bytes)
		untraced->ever_private_bytes = one->private_bytes;
	if (!is_there)
		return;
	if (one->private_bytes > untraced->most_private_bytes)
		untraced->most_private_bytes = one->private_bytes;
	untraced->private_bytes += one->private_bytes;
}

static bool
add(void *context, const struct vmt_untraced *record)
{
	struct counting *counting = context;
	int64_t moment_ns = counting->family->moment_ns;
	struct one one = {.random_id = record->random_id,
			  .pid = record->pid,
			  .is_brief = record->why == VMT_UNTRACED_BRIEF,
			  .private_bytes = vmt_tree_figure(record->private_bytes),
			  .start_ns = record->start_ns};

	if (record->why == VMT_UNTRACED_STATIC) {
		counting->family->untraced.executed++;
		return true;
	}
	if (has_trace(counting, record))
		return true;
	one.is_there =
	    record->start_ns <= (uint64_t)moment_ns && moment_ns < vmt_untraced_records_end(record);
	if (has_room(counting)) {
		counting->all[counting->count++] = one;
		return true;
	}
	one.private_bytes = VMT_FIGURE_UNKNOWN;
	take(&counting->family->untraced, &one, one.is_there);
	return true;
}

static bool
is_same(const struct one *a, const struct one *b)
{
	return a->random_id == b->random_id && a->pid == b->pid &&
	       (a->random_id != 0 || a->start_ns == b->start_ns);
}

static void
sum(struct counting *counting)
{
	if (counting->count > 1)
		qsort(counting->all, counting->count, sizeof(*counting->all), by_process);
	for (size_t i = 0, next; i < counting->count; i = next) {
		bool is_there = false;

		for (next = i;
		     next < counting->count && is_same(&counting->all[i], &counting->all[next]);
		     next++)
			is_there |= counting->all[next].is_there;
		take(&counting->family->untraced, &counting->all[i], is_there);
	}
}

static void
list_traces(struct counting *counting, const struct vmt_tree *tree, const size_t *members,
	    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct vmt_tree_process *process = &tree->processes[members[i]];

		counting->ids[i].random_id = process->random_id;
		/* No pid is so large: what executed a program is another process image. */
		counting->pids[i].pid = process->forked_from ? process->pid : UINT64_MAX;
	}
	counting->traces = count;
	qsort(counting->ids, count, sizeof(*counting->ids), by_id);
	qsort(counting->pids, count, sizeof(*counting->pids), by_pid);
}

static void
read_records_of(struct counting *counting, const struct vmt_tree_process *process)
{
	struct vmt_err err = {""};
	struct vmt_trace *trace;

	if (vmt_trace_open_without_stacks(&trace, process->path, &err) < 0)
		return;
	if (vmt_trace_head(trace)->random_id == process->random_id)
		vmt_untraced_records_each(trace, add, counting);
	vmt_trace_close(trace);
}

static void
read_records(struct counting *counting, const struct vmt_tree *tree, const size_t *members,
	     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct vmt_tree_process *process = &tree->processes[members[i]];

		if (!process->tells_untraced ||
		    !vmt_tree_watcher_begin(&tree->watcher, process->path))
			continue;
		read_records_of(counting, process);
		vmt_tree_watcher_end(&tree->watcher);
	}
}

bool
vmt_tree_untraced_count(const struct vmt_tree *tree, struct vmt_tree_family *family,
			const size_t *members, size_t count)
{
	struct counting counting = {.family = family};
	bool tells = false;

	for (size_t i = 0; i < count; i++)
		tells |= tree->processes[members[i]].tells_untraced;
	if (!tells)
		return true;
	counting.ids = calloc(count + 1, sizeof(*counting.ids));
	counting.pids = calloc(count + 1, sizeof(*counting.pids));
	counting.has_memory = counting.ids && counting.pids;
	if (counting.has_memory) {
		list_traces(&counting, tree, members, count);
		read_records(&counting, tree, members, count);
		sum(&counting);
	}
	free(counting.all);
	free(counting.ids);
	free(counting.pids);
	return counting.has_memory;
}
