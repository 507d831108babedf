/*
 * Over 500 lines: the loop and what it wakes for share one struct.
 */
#include "collect/collector.h"

#include "base/assert.h"
#include "base/exec_request.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/ticks.h"
#include "collect/exit_watch.h"
#include "collect/fork_children.h"
#include "collect/outside_trace.h"
#include "collect/process.h"
#include "collect/shared.h"
#include "collect/touch_sampling.h"
#include "collect/untraced_notes.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define MILLISECOND UINT64_C(1000000)

#define MAX_PROCESSES 4096u
#define LONGEST_SLEEP_NS (100 * MILLISECOND)
/* How soon an end is noticed where the collector holds what is to go with the process: a mount
 * namespace, a file system that it mounted. Nothing wakes who sleeps on a futex when a process
 * ends, and each look costs, so elsewhere the next visit is soon enough. */
#define NOTICE_NS (10 * MILLISECOND)
/* Long work on one process lets the others have a turn this often; targets judge a heartbeat stale
 * at 1 s. */
#define ATTEND_NS (20 * MILLISECOND)
#define ANNOUNCE_NS (500 * MILLISECOND)
/* How long a forked child that has not announced itself is waited for when nobody else is left. */
#define LINGER_NS (1000 * MILLISECOND)
/* A round's. The number is the traced program's to change. */
#define UNNAMED_MOST 1024u

struct collector {
	struct vmt_session *session;
	const struct vmt_collector_host *host;
	struct vmt_shared shared;
	struct vmt_traced *processes[MAX_PROCESSES]; /* as far as used, a mapping each */
	uint32_t used;				     /* entries ever used */
	uint32_t turn;				     /* who is visited first */
	uint64_t charged_ns; /* of the thread's CPU time: what the credit has been told of */
	uint64_t attended_ns;
	uint64_t announced_ns;	 /* last look for announcements */
	uint64_t empty_since_ns; /* 0 = somebody is left */
	struct vmt_fork_children children;
	uint64_t home_device;				 /* of the first trace; 0: none yet */
	enum { NOT_ASKED, IN_OWN, IN_COMMON } namespace; /* of mounts */
	int first_fd; /* pidfd of the first process, where none came with the host; else -1 */
	bool first_pending;
};

static void
beat(struct collector *collector, uint64_t now_ns)
{
	vmt_atomic_store_relaxed(&collector->session->heartbeat_ns, now_ns);
}

static void
serve_execs(const struct collector *collector)
{
	if (collector->host->serve_execs)
		collector->host->serve_execs(collector->host->serve_context);
}

static void
pause_work(void *context)
{
	struct collector *collector = context;
	uint64_t now_ns = vmt_ticks_monotonic_ns();

	if (now_ns - collector->attended_ns < ATTEND_NS)
		return;
	beat(collector, now_ns);
	serve_execs(collector);
	for (uint32_t i = 0; i < collector->used; i++)
		vmt_process_attend(collector->processes[i], &collector->shared, now_ns);
	vmt_touch_sampling_round(&collector->shared, now_ns);
	collector->attended_ns = vmt_ticks_monotonic_ns();
}

static struct vmt_traced *
free_entry(void *context)
{
	struct collector *collector = context;
	void *fresh;

	for (uint32_t i = 0; i < collector->used; i++) {
		if (collector->processes[i]->state == VMT_PROCESS_NONE)
			return collector->processes[i];
	}
	if (collector->used == MAX_PROCESSES)
		return NULL;
	fresh = vmt_sys_mmap(NULL, sizeof(struct vmt_traced), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vmt_sys_failed(fresh))
		return NULL;
	vmt_assert(((struct vmt_traced *)fresh)->state == VMT_PROCESS_NONE);
	return collector->processes[collector->used++] = fresh;
}

static bool
is_known(void *context, uint32_t pid, uint64_t start_ticks)
{
	const struct collector *collector = context;

	for (uint32_t i = 0; i < collector->used; i++) {
		const struct vmt_traced *process = collector->processes[i];

		if (process->state != VMT_PROCESS_NONE && process->pid == pid &&
		    process->start_ticks == start_ticks)
			return true;
	}
	return false;
}

/* Numbers may be those of two pid namespaces; which is meant is seen by what is mapped. */
static struct vmt_traced *
with_pid(void *context, uint32_t pid)
{
	const struct collector *collector = context;

	for (uint32_t i = 0; i < collector->used; i++) {
		struct vmt_traced *process = collector->processes[i];

		if (process->pid == pid &&
		    (process->state == VMT_PROCESS_LIVE || process->state == VMT_PROCESS_UNSEEN))
			return process;
	}
	return NULL;
}

/* Lets this process have as much as it may. */
static bool
raise_limit(int resource)
{
	struct rlimit limit;

	if (vmt_sys_call4(SYS_prlimit64, 0, resource, NULL, &limit) < 0 ||
	    limit.rlim_cur >= limit.rlim_max)
		return false;
	limit.rlim_cur = limit.rlim_max;
	return vmt_sys_call4(SYS_prlimit64, 0, resource, &limit, NULL) == 0;
}

static bool
is_recorded(const struct vmt_traced *process)
{
	return process->state == VMT_PROCESS_LIVE || process->state == VMT_PROCESS_UNSEEN;
}

/* Ends the recording of an image that another one has taken the place of. */
static void
end_earlier(struct collector *collector, struct vmt_traced *earlier, const struct vmt_traced *later)
{
	static const struct vmt_exit_status replaced = {VMT_END_EXEC, 0};

	vmt_assert(earlier != later && earlier->pid == later->pid);
	if (is_recorded(earlier) && earlier->outside && (later->layout.notes & VMT_NOTE_FORKED))
		vmt_outside_trace_hand_over(earlier, &collector->shared);
	else if (is_recorded(earlier))
		vmt_process_finish(earlier, &collector->shared, replaced);
	if (earlier->state == VMT_PROCESS_REPLACED)
		vmt_process_forget(earlier);
	vmt_assert(earlier->state == VMT_PROCESS_NONE);
}

/* Of two images under one pid and start time the one begun later has replaced the other by exec.
 * Announcements are found in any order. What the collector made by itself always gives way. */
static void
end_earlier_images(struct collector *collector, struct vmt_traced *latest)
{
	for (uint32_t i = 0; i < collector->used; i++) {
		struct vmt_traced *process = collector->processes[i];
		bool is_later;

		if (process == latest || process->state == VMT_PROCESS_NONE ||
		    process->pid != latest->pid || process->start_ticks != latest->start_ticks)
			continue;
		is_later = is_recorded(process) && !process->outside &&
			   process->layout.clock_start.monotonic_ns >
			       latest->layout.clock_start.monotonic_ns;
		end_earlier(collector, is_later ? latest : process, is_later ? process : latest);
		if (is_later)
			return;
	}
}

static bool
has_live(const struct collector *collector)
{
	for (uint32_t i = 0; i < collector->used; i++) {
		const struct vmt_traced *process = collector->processes[i];

		if ((process->state == VMT_PROCESS_REPLACED && !collector->host->ends_at_exec) ||
		    (process->state == VMT_PROCESS_LIVE && process->ended_ns == 0))
			return true;
	}
	return false;
}

/* False: no descriptors or no room now, the announcement stays. */
static bool
take_up(struct collector *collector, uint32_t pid, uint64_t random_id, const char *path)
{
	struct vmt_traced *process = free_entry(collector);
	/* Whoever else is watched gives its descriptors back one day. */
	bool sparing = !has_live(collector);
	int result;

	if (!process)
		return false;
	result = vmt_process_open(process, &collector->shared, pid, random_id, path, false);
	if (result == -EMFILE && (raise_limit(RLIMIT_NOFILE) || sparing))
		result =
		    vmt_process_open(process, &collector->shared, pid, random_id, path, sparing);
	if (result == -EMFILE || result == -ENFILE)
		return false;
	if (pid == collector->host->first_pid)
		collector->first_pending = false;
	if (result < 0)
		return true;
	vmt_assert(is_recorded(process));
	if (collector->home_device == 0)
		collector->home_device = process->device;
	process->elsewhere = process->device != collector->home_device;
	end_earlier_images(collector, process);
	if (collector->host->announce)
		collector->host->announce(collector->host->context, pid, path);
	return true;
}

/* What was done since the last call and is nobody else's cost is owed: looks at the processes, and
 * being woken for them. */
static void
charge_readings(struct collector *collector)
{
	struct vmt_shared *shared = &collector->shared;
	uint64_t cpu_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t spent_ns = cpu_ns - collector->charged_ns;

	if (spent_ns > shared->apart_ns)
		vmt_cpu_budget_owe(&shared->credit, spent_ns - shared->apart_ns);
	collector->charged_ns = cpu_ns;
	shared->apart_ns = 0;
}

/* False: the announcement has to wait. */
static bool
take_slot(struct collector *collector, struct vmt_session_slot *slot)
{
	uint32_t state = vmt_atomic_load_acquire(&slot->state);
	uint32_t pid = vmt_atomic_load_relaxed(&slot->pid);
	char path[VMT_SESSION_PATH_BYTES];

	if (state == VMT_SESSION_FREE ||
	    (state != VMT_SESSION_READY && (!pid || vmt_exit_status_is_running(pid))))
		return true;
	if (state == VMT_SESSION_READY) {
		memcpy(path, slot->path, sizeof(path));
		path[sizeof(path) - 1] = '\0';
		if (!take_up(collector, pid, slot->random_id, path))
			return false;
	}
	(void)vmt_session_release(slot, pid);
	return true;
}

/* Looks through the slots when somebody rang, and now and then for what was left behind. */
static void
take_announcements(struct collector *collector, uint64_t now_ns, bool rung)
{
	uint32_t used = vmt_session_slots_used(collector->session);
	bool crowded = false;
	uint64_t before_ns;

	if (!rung && now_ns - collector->announced_ns < ANNOUNCE_NS)
		return;
	collector->announced_ns = now_ns;
	before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (uint32_t i = 0; i < used; i++)
		crowded |= !take_slot(collector, &collector->session->slots[i]);
	vmt_atomic_store_relaxed(&collector->session->crowded, crowded);
	collector->shared.apart_ns += vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
}

/* Somebody has begun to announce itself, waits for its turn, or is about to execute something that
 * will: also who is gone by now, as long as its trace may find room. */
static bool
has_announcements(const struct collector *collector)
{
	bool crowded = vmt_atomic_load_relaxed(&collector->session->crowded);
	uint32_t used = vmt_session_slots_used(collector->session);

	for (uint32_t i = 0; i < used; i++) {
		const struct vmt_session_slot *slot = &collector->session->slots[i];
		uint32_t state = vmt_atomic_load_relaxed(&slot->state);
		uint32_t pid = vmt_atomic_load_relaxed(&slot->pid);

		if ((state == VMT_SESSION_READY && (!crowded || vmt_exit_status_is_there(pid))) ||
		    (state != VMT_SESSION_READY && state != VMT_SESSION_FREE &&
		     vmt_exit_status_is_running(pid)))
			return true;
	}
	return false;
}

/* Visits whoever is due, beginning with another one each round: the credit for snapshots is
 * shared. */
static void
visit(struct collector *collector, bool urgent)
{
	for (uint32_t i = 0; i < collector->used; i++) {
		struct vmt_traced *process =
		    collector->processes[(collector->turn + i) % collector->used];
		uint64_t now_ns;

		if (process->state == VMT_PROCESS_NONE)
			continue;
		now_ns = vmt_ticks_monotonic_ns();
		beat(collector, now_ns);
		if (urgent || now_ns >= process->visit_ns)
			vmt_process_visit(process, &collector->shared, now_ns, urgent);
		if (process->trace_closed)
			vmt_session_part(collector->session, process->random_id);
		if (process->state == VMT_PROCESS_LIVE && process->unnamed)
			vmt_outside_trace_publish(process, &collector->shared);
	}
	collector->turn++;
	collector->attended_ns = vmt_ticks_monotonic_ns();
}

/* The first process may take its time to start, or never be traced at all. */
static bool
awaits_first(struct collector *collector)
{
	const struct vmt_collector_host *host = collector->host;
	int pidfd = host->first_watch ? host->first_watch->pidfd : collector->first_fd;

	if (!collector->first_pending)
		return false;
	if (pidfd >= 0)
		return !vmt_exit_status_reached(pidfd, -1);
	return vmt_exit_status_is_running(collector->host->first_pid);
}

static bool
awaits_forked(struct collector *collector, uint64_t now_ns)
{
	if (!collector->empty_since_ns)
		collector->empty_since_ns = now_ns;
	if (now_ns - collector->empty_since_ns >= LINGER_NS)
		return false;
	return vmt_fork_children_are_running(&collector->children);
}

static bool
is_over(struct collector *collector, uint64_t now_ns)
{
	const struct vmt_collector_host *host = collector->host;
	bool expects_more = host->expects_more && host->expects_more(host->context);

	if (has_live(collector)) {
		collector->empty_since_ns = 0;
		return false;
	}
	return !expects_more && !awaits_first(collector) && !has_announcements(collector) &&
	       !awaits_forked(collector, now_ns);
}

static uint64_t
next_visit_ns(const struct collector *collector, uint64_t now_ns)
{
	uint64_t due_ns = vmt_fork_children_due_ns(&collector->children);
	uint64_t next_ns = now_ns + LONGEST_SLEEP_NS;

	next_ns = due_ns < next_ns ? due_ns : next_ns;
	due_ns = vmt_touch_sampling_due_ns(&collector->shared.touch);
	next_ns = due_ns < next_ns ? due_ns : next_ns;
	for (uint32_t i = 0; i < collector->used; i++) {
		const struct vmt_traced *process = collector->processes[i];

		if (process->state != VMT_PROCESS_NONE && process->visit_ns < next_ns)
			next_ns = process->visit_ns;
	}
	return next_ns;
}

/* Asked by who has time to sleep: not for a process that is about to end. */
static bool
is_hurried(struct collector *collector)
{
	if (collector->namespace == NOT_ASKED)
		collector->namespace = vmt_procfs_is_own_namespace() ? IN_OWN : IN_COMMON;
	return collector->namespace == IN_OWN ||
	       vmt_exit_watch_is_urgent(collector->processes, collector->used,
					collector->home_device);
}

/* Until the next visit is due, or somebody has changed the wake word from what it was. */
static void
sleep_until_due(struct collector *collector, uint32_t wake)
{
	for (;;) {
		uint64_t now_ns = vmt_ticks_monotonic_ns();
		uint64_t next_ns = next_visit_ns(collector, now_ns);
		uint64_t sleep_ns = next_ns > now_ns ? next_ns - now_ns : 0;
		struct timespec timeout = {0, 0};

		if (sleep_ns > NOTICE_NS && is_hurried(collector))
			sleep_ns = NOTICE_NS;
		timeout.tv_nsec = (long)(sleep_ns < LONGEST_SLEEP_NS ? sleep_ns : LONGEST_SLEEP_NS);
		vmt_assert(timeout.tv_nsec >= 0 && (uint64_t)timeout.tv_nsec <= LONGEST_SLEEP_NS);
		if (next_ns <= now_ns ||
		    vmt_sys_call4(SYS_futex, &collector->session->wake, FUTEX_WAIT, wake,
				  &timeout) != -ETIMEDOUT ||
		    !has_live(collector))
			return;
		vmt_exit_watch_poll(collector->processes, collector->used);
	}
}

static uint32_t
parent_of(uint32_t pid)
{
	struct vmt_procfs_stat stat;
	int fd = vmt_procfs_open(pid, "stat");
	bool is_read = fd >= 0 && vmt_procfs_read_stat(fd, &stat);

	if (fd >= 0)
		vmt_sys_close(fd);
	return is_read ? (uint32_t)stat.parent_pid : 0;
}

/* A fork child's own trace may be none that stays. */
static struct vmt_untraced_notes_kin
kin_of(struct collector *collector, uint32_t pid)
{
	const struct vmt_traced *own = with_pid(collector, pid);

	if (own && own->layout.forked_from == 0)
		return (struct vmt_untraced_notes_kin){.parent_pid = pid};
	return (struct vmt_untraced_notes_kin){own ? own->layout.forked_from : 0, parent_of(pid)};
}

/* A program that loads no library and is not recorded. pid 0: nobody knows whose it is. */
static void
note_one_missed(struct collector *collector, uint32_t pid)
{
	const struct vmt_untraced record = {.start_ns = vmt_ticks_monotonic_ns(),
					    .end_ns = VMT_UNTRACED_RUNS,
					    .rss_bytes = VMT_FIGURE_UNKNOWN,
					    .private_bytes = VMT_FIGURE_UNKNOWN,
					    .pid = pid,
					    .why = VMT_UNTRACED_STATIC};
	const struct vmt_untraced_notes_kin nobody = {0};
	const struct vmt_untraced_notes_kin kin = pid ? kin_of(collector, pid) : nobody;

	vmt_untraced_notes_lost(&collector->shared, &record, &kin);
}

static void
note_missed(struct collector *collector)
{
	uint32_t unnamed;
	uint32_t pid;

	while ((pid = vmt_exec_request_take_missed(collector->session)) != 0)
		note_one_missed(collector, pid);
	unnamed = vmt_exec_request_take_unnamed(collector->session, UNNAMED_MOST);
	for (uint32_t i = 0; i < unnamed; i++)
		note_one_missed(collector, 0);
}

static void
run(struct collector *collector)
{
	uint32_t seen = vmt_atomic_load_acquire(&collector->session->wake) - 1;

	for (;;) {
		/* Read before looking: what is bumped later ends the sleep at once. */
		uint32_t wake = vmt_atomic_load_acquire(&collector->session->wake);
		uint64_t now_ns = vmt_ticks_monotonic_ns();

		beat(collector, now_ns);
		serve_execs(collector);
		take_announcements(collector, now_ns, wake != seen || !has_live(collector));
		note_missed(collector); /* before an image is left that has executed another */
		visit(collector, wake != seen);
		charge_readings(collector);
		now_ns = collector->attended_ns;
		vmt_touch_sampling_round(&collector->shared, now_ns);
		vmt_fork_children_note_told(&collector->children);
		vmt_fork_children_visit(&collector->children);
		seen = wake;
		if (is_over(collector, now_ns))
			return;
		sleep_until_due(collector, wake);
	}
}

/* Traces whose processes were never to be seen, and those that are still closed. */
static void
finish_rest(struct collector *collector)
{
	for (uint32_t i = 0; i < collector->used; i++) {
		struct vmt_traced *process = collector->processes[i];

		if (process->state == VMT_PROCESS_UNSEEN)
			vmt_process_leave_unseen(process, &collector->shared);
		else if (process->state == VMT_PROCESS_LIVE)
			vmt_process_finish(process, &collector->shared, process->exit_status);
		vmt_assert(!is_recorded(process));
	}
}

static void
note_fork(void *context, struct vmt_traced *parent, uint32_t pid, uint64_t fork_ns)
{
	struct collector *collector = context;

	vmt_fork_children_note(&collector->children, parent, pid, fork_ns);
}

static void
settle_children(void *context, const struct vmt_traced *parent)
{
	struct collector *collector = context;

	vmt_fork_children_settle(&collector->children, parent);
}

static int
set_up_shared(struct collector *collector)
{
	struct vmt_shared *shared = &collector->shared;
	int result = vmt_shared_begin(shared, collector->host, collector->session);

	if (result < 0)
		return result;
	shared->pause = pause_work;
	shared->context = collector;
	shared->processes = collector->processes;
	shared->used = &collector->used;
	shared->forked = note_fork;
	shared->ending = settle_children;
	collector->children = (struct vmt_fork_children){.shared = shared,
							 .free_entry = free_entry,
							 .is_known = is_known,
							 .with_pid = with_pid,
							 .context = collector};
	vmt_touch_sampling_begin(&shared->touch, shared->host, collector->processes,
				 &collector->used);
	return 0;
}

static int
set_up(struct collector *collector)
{
	uint32_t first_pid = collector->host->first_pid;

	raise_limit(RLIMIT_AS);
	raise_limit(RLIMIT_DATA);
	collector->first_fd = -1;
	collector->charged_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (first_pid)
		collector->first_pending = true;
	if (first_pid && !collector->host->first_watch) {
		collector->first_fd = (int)vmt_sys_call2(SYS_pidfd_open, first_pid, 0);
	}
	return set_up_shared(collector);
}

static void
tear_down(struct collector *collector)
{
	struct vmt_shared *shared = &collector->shared;

	if (collector->first_fd >= 0)
		vmt_sys_close(collector->first_fd);
	vmt_touch_sampling_end(&shared->touch);
	for (uint32_t i = 0; i < collector->used; i++)
		vmt_sys_munmap(collector->processes[i], sizeof(struct vmt_traced));
	vmt_shared_end(shared);
	vmt_buffer_free(&collector->children.queue);
}

/* The struct is too big for the stack that a bare child may have. */
int
vmt_collector_run(struct vmt_session *session, const struct vmt_collector_host *host)
{
	struct collector *collector = vmt_sys_mmap(NULL, sizeof(*collector), PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int result;

	if (vmt_sys_failed(collector)) {
		vmt_atomic_store_release(&session->over, 1);
		return (int)(intptr_t)collector;
	}
	collector->session = session;
	collector->host = host;
	result = set_up(collector);
	if (result == 0) {
		vmt_atomic_store_release(&session->collector_pid,
					 (uint32_t)vmt_sys_call0(SYS_getpid));
		run(collector);
		finish_rest(collector);
		vmt_atomic_store_relaxed(&session->heartbeat_ns, 0);
		vmt_atomic_store_release(&session->collector_pid, 0);
	}
	vmt_atomic_store_release(&session->over, 1);
	if (host->session_path)
		vmt_sys_call3(SYS_unlinkat, AT_FDCWD, host->session_path, 0);
	if (host->ends_with_collector)
		return result;
	tear_down(collector);
	vmt_sys_munmap(collector, sizeof(*collector));
	return result;
}
