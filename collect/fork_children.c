#include "collect/fork_children.h"

#include "base/assert.h"
#include "base/ticks.h"
#include "collect/attach_trace.h"
#include "collect/outside_trace.h"
#include "collect/untraced_notes.h"

#include <errno.h>
#include <string.h>

#define MILLISECOND UINT64_C(1000000)

/* From when its event was drained: most children have executed something or ended by then. */
#define DELAY_NS (20 * MILLISECOND)
#define MAX_WAITING 32768u
/* With no descriptors to be had. */
#define MAX_TRIES 250u

struct vmt_fork_child {
	struct vmt_traced *parent; /* an entry: random_id tells whether it is still the same */
	uint64_t parent_id;
	uint64_t due_ns;
	uint64_t fork_ns;
	uint32_t pid; /* 0: done with */
	uint32_t tries;
};

static struct vmt_fork_child *
waiting(const struct vmt_fork_children *children)
{
	return (struct vmt_fork_child *)(void *)children->queue.bytes;
}

/* The newest goes to the end; what was done with is dropped from the front when room is wanted. */
static bool
push(struct vmt_fork_children *children, const struct vmt_fork_child *child)
{
	uint32_t count = children->end - children->first;

	vmt_assert(children->first <= children->end && count <= MAX_WAITING);
	if (count == MAX_WAITING)
		return false;
	if (children->first > count) {
		memmove(waiting(children), waiting(children) + children->first,
			count * sizeof(*child));
		children->first = 0;
		children->end = count;
	}
	if (!vmt_buffer_reserve(&children->queue, (children->end + 1) * sizeof(*child)))
		return false;
	vmt_assert((children->end + 1) * sizeof(*child) <= children->queue.capacity);
	waiting(children)[children->end++] = *child;
	return true;
}

static void
note_unseen(const struct vmt_traced *parent)
{
	vmt_atomic_or_relaxed(&vmt_process_head(parent)->notes, VMT_NOTE_CHILD_UNSEEN);
}

/* A trace made for the child would hold a file system that its program may want to unmount, or
 * would have to be mapped where nothing can be. */
static bool
can_have_trace(const struct vmt_traced *parent)
{
	return !parent->elsewhere && !parent->head_writer.copy;
}

/* Whether it lives in another pid namespace, whose numbers say nothing here. */
static bool
lives_unseen(const struct vmt_traced *parent)
{
	return parent->state == VMT_PROCESS_UNSEEN &&
	       !vmt_exit_status_is_sole_writer(vmt_attach_trace_head_fd(parent));
}

void
vmt_fork_children_note(struct vmt_fork_children *children, struct vmt_traced *parent, uint32_t pid,
		       uint64_t fork_ns)
{
	struct vmt_fork_child child = {
	    parent, parent->random_id, vmt_ticks_monotonic_ns() + DELAY_NS, fork_ns, pid, 0};

	children->last[children->noted % VMT_FORK_CHILDREN_KEPT].pid = pid;
	children->last[children->noted++ % VMT_FORK_CHILDREN_KEPT].parent_start_ticks =
	    parent->start_ticks;
	if ((int32_t)pid <= 0 || (parent->layout.notes & VMT_NOTE_NO_FORKS))
		return;
	if (parent->state == VMT_PROCESS_LIVE ? !push(children, &child) : lives_unseen(parent))
		note_unseen(parent);
}

void
vmt_fork_children_note_told(struct vmt_fork_children *children)
{
	uint64_t *forks = children->shared->session->forks;

	for (uint32_t i = 0; i < VMT_SESSION_FORKS; i++) {
		uint64_t fork = vmt_atomic_load_relaxed(&forks[i]);
		struct vmt_traced *parent;

		if (fork == 0)
			continue;
		parent = children->with_pid(children->context, (uint32_t)(fork >> 32));
		if (parent && vmt_session_take_fork(&forks[i], fork))
			vmt_fork_children_note(children, parent, (uint32_t)fork,
					       vmt_ticks_monotonic_ns());
	}
}

/* Whether a process with this pid was taken up lately: a child that has ended had a trace then. */
static bool
was_taken_up(const struct vmt_shared *shared, uint32_t pid)
{
	for (uint32_t i = 0; i < VMT_LAST_PIDS; i++)
		if (shared->last_pids[i] == pid)
			return true;
	return false;
}

static uint64_t
read_rss(uint32_t pid, uint32_t page_bytes)
{
	struct vmt_procfs_statm statm;
	int fd = vmt_procfs_open(pid, "statm");
	bool known = fd >= 0 && vmt_procfs_read_statm(fd, &statm) && statm.resident_pages != 0;

	if (fd >= 0)
		vmt_sys_close(fd);
	return known ? statm.resident_pages * page_bytes : VMT_FIGURE_UNKNOWN;
}

/* There will be no trace of it. */
static void
note_untraced(struct vmt_fork_children *children, const struct vmt_fork_child *child, int result)
{
	struct vmt_untraced record = {.start_ns = child->fork_ns,
				      .end_ns = VMT_UNTRACED_RUNS,
				      .rss_bytes = VMT_FIGURE_UNKNOWN,
				      .private_bytes = VMT_FIGURE_UNKNOWN,
				      .pid = child->pid,
				      .why = VMT_UNTRACED_REFUSED};

	if (result == -ENOEXEC)
		return;
	if (result == -ESRCH && was_taken_up(children->shared, child->pid))
		return;
	if (result == -ESRCH) {
		record.end_ns = vmt_ticks_monotonic_ns();
		record.why = VMT_UNTRACED_BRIEF;
	} else {
		note_unseen(child->parent);
		record.rss_bytes = read_rss(child->pid, child->parent->layout.page_bytes);
	}
	vmt_untraced_notes_add(child->parent, &record);
}

/* False: to be tried again. */
static bool
take_up(struct vmt_fork_children *children, const struct vmt_fork_child *child)
{
	const struct vmt_traced *parent = child->parent;
	struct vmt_traced *entry;
	uint64_t start_ticks;
	int result = vmt_outside_trace_ask(parent, child->pid, &start_ticks);

	vmt_assert(child->pid != 0);
	if (result == 0 && children->is_known(children->context, child->pid, start_ticks))
		return true;
	if (result == 0 && !can_have_trace(parent))
		result = -EXDEV;
	if (result == 0) {
		entry = children->free_entry(children->context);
		result = entry ? vmt_outside_trace_open(entry, children->shared, parent, child->pid)
			       : -ENOMEM;
	}
	if ((result == -EMFILE || result == -ENFILE) && child->tries < MAX_TRIES)
		return false;
	if (result < 0)
		note_untraced(children, child, result);
	return true;
}

static bool
is_waiting(const struct vmt_fork_child *child)
{
	return child->pid != 0 && child->parent->state == VMT_PROCESS_LIVE &&
	       child->parent->random_id == child->parent_id;
}

void
vmt_fork_children_visit(struct vmt_fork_children *children)
{
	uint64_t now_ns = vmt_ticks_monotonic_ns();

	while (children->first < children->end &&
	       waiting(children)[children->first].due_ns <= now_ns) {
		struct vmt_fork_child child = waiting(children)[children->first++];

		vmt_assert(children->first <= children->end);
		if (!is_waiting(&child) || take_up(children, &child))
			continue;
		child.tries++;
		child.due_ns = now_ns + DELAY_NS;
		if (!push(children, &child))
			note_unseen(child.parent);
	}
}

void
vmt_fork_children_settle(struct vmt_fork_children *children, const struct vmt_traced *parent)
{
	if (!children)
		return;
	/* Who tells of a fork after this takes it back (preload/trace/untraced_fork.c). */
	vmt_atomic_store_relaxed(&vmt_process_head(parent)->forks_over, 1);
	vmt_atomic_fence();
	vmt_fork_children_note_told(children);
	for (uint32_t i = children->first; i < children->end; i++) {
		struct vmt_fork_child child = waiting(children)[i];

		if (child.parent != parent || !is_waiting(&child))
			continue;
		waiting(children)[i].pid = 0;
		child.tries = MAX_TRIES;
		(void)take_up(children, &child);
	}
}

uint64_t
vmt_fork_children_due_ns(const struct vmt_fork_children *children)
{
	return children->first < children->end ? waiting(children)[children->first].due_ns
					       : UINT64_MAX;
}

static bool
began_before(uint32_t pid, uint64_t ticks)
{
	struct vmt_procfs_stat stat;
	int fd = vmt_procfs_open(pid, "stat");
	bool known = fd >= 0 && vmt_procfs_read_stat(fd, &stat);

	if (fd >= 0)
		vmt_sys_close(fd);
	return known && stat.start_ticks < ticks;
}

bool
vmt_fork_children_are_running(const struct vmt_fork_children *children)
{
	for (uint32_t i = 0; i < VMT_FORK_CHILDREN_KEPT; i++)
		if (vmt_exit_status_is_running(children->last[i].pid) &&
		    !began_before(children->last[i].pid, children->last[i].parent_start_ticks))
			return true;
	return false;
}
