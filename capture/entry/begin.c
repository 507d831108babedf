#include "capture/entry/begin.h"

#include "base/procfs.h"
#include "base/session.h"
#include "base/sys.h"
#include "capture/core/call_stacks.h"
#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/go/go_runtime.h"
#include "capture/modules/modules.h"
#include "capture/record/retreat.h"
#include "capture/record/samples.h"
#include "capture/trace/idle_child.h"
#include "capture/trace/initial_maps.h"
#include "capture/trace/open.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

/* Not where its collector has gone, nor of another pid namespace: by this process's number that
 * collector would find nobody, or somebody else. proot hides which namespace it is. */
static bool
is_of_use(const struct vmt_session *session)
{
	uint32_t collector = vmt_atomic_load_relaxed(&session->collector_pid);
	uint64_t own;

	if (vmt_atomic_load_relaxed(&session->over) ||
	    (collector != 0 && vmt_sys_call2(SYS_kill, collector, 0) == -ESRCH))
		return false;
	own = vmt_procfs_pid_namespace();
	return session->pid_namespace == 0 || own == 0 || session->pid_namespace == own;
}

struct vmt_session *
vmt_begin_find_session(void)
{
	struct vmt_session *session;

	if (!vmt_config.session[0] || vmt_session_attach(vmt_config.session, &session) < 0)
		return NULL;
	if (!is_of_use(session)) {
		vmt_sys_munmap(session, sizeof(*session));
		return NULL;
	}
	return session;
}

/* The kernel's own choice vouches for a TSC that is constant and the same on all CPUs. */
bool
vmt_begin_can_use_tsc(void)
{
#if defined(__x86_64__)
	static const char path[] =
	    "/sys/devices/system/clocksource/clocksource0/current_clocksource";
	char source[8] = "";
	unsigned a, b, c, d; /* a leaf that every x86-64 has: its own bit is in there */
	int access = PR_TSC_ENABLE;
	int fd;

	/* Not asked for more than once: cpuid traps into a hypervisor, 4 to 7 us each. */
	__cpuid(0x80000001, a, b, c, d);
	if (!(d & (1u << 27))) /* rdtscp */
		return false;
	vmt_sys_call2(SYS_prctl, PR_GET_TSC, &access);
	fd = vmt_sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return false;
	vmt_sys_read(fd, source, sizeof(source) - 1);
	vmt_sys_close(fd);
	return access == PR_TSC_ENABLE && memcmp(source, "tsc\n", 4) == 0;
#else
	return false;
#endif
}

/* What differs between the trace of a program and that of a fork child. */
struct beginning {
	void (*prepare)(void); /* once the trace is open */
	void (*write_modules)(void);
	bool forked;
};

/* NULL, or why nothing can be recorded. */
static const char *
begin_trace(const struct beginning *beginning)
{
	const char *why = vmt_open_trace();

	if (why)
		return why;
	beginning->prepare();
	vmt_go_runtime_describe(vmt_recording.head);
	/* From here on the collector reads the head; there are no events yet to be drained. */
	why = vmt_open_announce();
	if (why)
		return why;
	beginning->write_modules();
	vmt_initial_maps_write();
	if (beginning->forked)
		vmt_idle_child_begin();
	vmt_guard_begin_recording();
	return NULL;
}

static struct {
	struct vmt_head *head; /* the parent's, until the child has its own */
	uint64_t mapped_bytes;
	uint64_t random_id;
} parent;

static void
prepare_child(void)
{
	struct vmt_head *head = vmt_recording.head;

	head->notes |= parent.head->notes & VMT_NOTE_INJECTED;
	head->calls_unseen = parent.head->calls_unseen;
	head->calls_unseen_at = parent.head->calls_unseen_at;
	head->heap_functions = parent.head->heap_functions;
	head->heap_unseen = parent.head->heap_unseen;
	head->heap_is_glibc = parent.head->heap_is_glibc;
	head->heap_unseen_at = parent.head->heap_unseen_at;
	vmt_call_stacks_count_in(head);
	vmt_sys_munmap(parent.head, parent.mapped_bytes);
	head->forked_from = parent.random_id;
	head->notes |= VMT_NOTE_FORKED;
}

/* The parent's trace could not be followed by one of the child's: what lies there now is the
 * program's. */
static void
forget_parent(void)
{
	vmt_call_stacks_count_in(NULL);
	vmt_sys_munmap(parent.head, parent.mapped_bytes);
	vmt_recording.head = NULL;
	vmt_recording.head_mapped_bytes = 0;
}

/* A fork child's first event. False: the process is inert. */
static bool
begin_in_child(void)
{
	static const struct beginning child = {prepare_child, vmt_modules_announce, true};
	struct vmt_recording *process = &vmt_recording;
	const char *why;

	parent.head = process->head;
	parent.mapped_bytes = process->head_mapped_bytes;
	parent.random_id = process->random_id;
	vmt_samples_clear();
	vmt_retreat_forked();
	vmt_call_stacks_forked();
	process->slot = NULL;
	process->execs = 0; /* of other threads of the parent */
	why = begin_trace(&child);
	if (why && process->head == parent.head)
		forget_parent();
	if (why)
		vmt_guard_go_inert(why);
	return !why;
}

const char *
vmt_begin_trace(void (*prepare)(void))
{
	struct beginning program = {prepare, vmt_modules_refresh, false};

	vmt_guard_set_child_opener(begin_in_child);
	return begin_trace(&program);
}
