#include "base/exec_request.h"

#include "base/sys.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <time.h>

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

#define SECOND_NS UINT64_C(1000000000)
#define LOOK_NS UINT64_C(100000000) /* whether there is a server still */
#define STALE_NS (3 * SECOND_NS)    /* a collector's heartbeat; it beats every .1 s */

static void
sleep_while(uint32_t *word, uint32_t value, uint64_t longest_ns)
{
	struct timespec pause = {(time_t)(longest_ns / SECOND_NS), (long)(longest_ns % SECOND_NS)};

	vmt_sys_call4(SYS_futex, word, FUTEX_WAIT, value, &pause);
}

void
vmt_exec_request_wake(struct vmt_session *session)
{
	vmt_atomic_add_relaxed(&session->exec_wake, 1);
	vmt_sys_call3(SYS_futex, &session->exec_wake, FUTEX_WAKE, INT_MAX);
}

/* Who was killed may stay a zombie, whom nobody reaps. */
static bool
is_stale(const struct vmt_session *session)
{
	uint64_t beat_ns = vmt_atomic_load_relaxed(&session->heartbeat_ns);
	uint64_t now_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);

	return beat_ns != 0 && now_ns > beat_ns && now_ns - beat_ns > STALE_NS;
}

/* The server is in the collector's process, or its child. */
bool
vmt_exec_request_is_served(const struct vmt_session *session)
{
	uint32_t server = vmt_atomic_load_relaxed(&session->exec_server);
	uint32_t collector;

	if (server == VMT_SESSION_SERVER_NONE || server == VMT_SESSION_SERVER_FAILED ||
	    vmt_atomic_load_relaxed(&session->over))
		return false;
	collector = vmt_atomic_load_relaxed(&session->collector_pid);
	if (collector == 0)
		return true;
	return vmt_sys_call2(SYS_kill, collector, 0) != -ESRCH &&
	       !(server == VMT_SESSION_SERVER_ON_DEMAND && is_stale(session));
}

bool
vmt_exec_request_has_no_server(const struct vmt_session *session)
{
	return vmt_atomic_load_relaxed(&session->exec_server) == VMT_SESSION_SERVER_FAILED;
}

/* The state that the server gave; where it gave none in time, the request is taken back. */
static uint32_t
await_answer(const struct vmt_session *session, struct vmt_session_slot *slot, uint64_t until_ns)
{
	uint32_t state = VMT_SESSION_EXEC_WANTED;

	for (;;) {
		uint64_t now_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);

		state = vmt_atomic_load_acquire(&slot->state);
		if (state != VMT_SESSION_EXEC_WANTED)
			return state;
		if (now_ns >= until_ns || !vmt_exec_request_is_served(session))
			break;
		sleep_while(&slot->state, state,
			    until_ns - now_ns < LOOK_NS ? until_ns - now_ns : LOOK_NS);
	}
	if (vmt_atomic_cas(&slot->state, &state, VMT_SESSION_EXEC_REFUSED))
		return VMT_SESSION_EXEC_REFUSED;
	return state;
}

static uint32_t
ask(struct vmt_session *session, struct vmt_session_slot *slot, uint64_t until_ns)
{
	vmt_atomic_store_release(&slot->state, VMT_SESSION_EXEC_WANTED);
	vmt_exec_request_wake(session);
	if (vmt_atomic_load_relaxed(&session->exec_server) == VMT_SESSION_SERVER_ON_DEMAND)
		vmt_session_wake(session);
	return await_answer(session, slot, until_ns);
}

static bool
name_tracer(uint32_t pid)
{
	return vmt_sys_call2(SYS_prctl, PR_SET_PTRACER, pid) == 0;
}

/* Asks again where it was barred and can help that. Both times together have one bound. */
static bool
is_seized(struct vmt_session *session, struct vmt_session_slot *slot, uint64_t patience_ns)
{
	uint64_t until_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + patience_ns;
	uint32_t answer = ask(session, slot, until_ns);

	if (answer == VMT_SESSION_EXEC_BARRED &&
	    name_tracer(vmt_atomic_load_relaxed(&session->collector_pid))) {
		answer = ask(session, slot, until_ns);
		(void)name_tracer(0);
	}
	return answer == VMT_SESSION_EXEC_SEIZED;
}

struct vmt_session_slot *
vmt_exec_request_make(struct vmt_session *session, const struct vmt_exec_asker *asker,
		      uint64_t patience_ns)
{
	struct vmt_session_slot *slot = vmt_session_claim(session);

	if (slot) {
		vmt_atomic_store_relaxed(&slot->pid, asker->pid);
		vmt_atomic_store_relaxed(&slot->exec.thread, asker->thread);
		vmt_atomic_store_relaxed(&slot->exec.spawns, asker->spawns);
		if (is_seized(session, slot, patience_ns))
			return slot;
		(void)vmt_session_release(slot, asker->pid);
	}
	vmt_exec_request_count_missed(session, asker->pid);
	return NULL;
}

void
vmt_exec_request_note_missed(struct vmt_session *session, uint32_t pid)
{
	for (uint32_t i = 0; i < VMT_SESSION_MISSED; i++) {
		uint32_t free_entry = 0;

		if (vmt_atomic_load_relaxed(&session->missed[i]) == 0 &&
		    vmt_atomic_cas(&session->missed[i], &free_entry, pid))
			return;
	}
	vmt_atomic_add_relaxed(&session->missed_unnamed, 1);
}

void
vmt_exec_request_count_missed(struct vmt_session *session, uint32_t pid)
{
	vmt_atomic_add_relaxed(&session->execs_missed, 1);
	vmt_exec_request_note_missed(session, pid);
}

uint32_t
vmt_exec_request_take_missed(struct vmt_session *session)
{
	for (uint32_t i = 0; i < VMT_SESSION_MISSED; i++) {
		uint32_t pid = vmt_atomic_load_relaxed(&session->missed[i]);

		if (pid != 0 && vmt_atomic_cas(&session->missed[i], &pid, 0))
			return pid;
	}
	return 0;
}

uint32_t
vmt_exec_request_take_unnamed(struct vmt_session *session, uint32_t most)
{
	uint32_t unnamed = vmt_atomic_load_relaxed(&session->missed_unnamed);
	uint32_t taken = unnamed < most ? unnamed : most;

	/* Who adds meanwhile is not undone. */
	if (taken != 0)
		vmt_atomic_add_relaxed(&session->missed_unnamed, 0u - taken);
	return taken;
}

static bool
is_of(const struct vmt_session_slot *slot, const struct vmt_exec_asker *asker)
{
	return vmt_atomic_load_acquire(&slot->state) == VMT_SESSION_EXEC_SEIZED &&
	       vmt_atomic_load_relaxed(&slot->pid) == asker->pid &&
	       vmt_atomic_load_relaxed(&slot->exec.thread) == asker->thread;
}

struct vmt_session_slot *
vmt_exec_request_find(struct vmt_session *session, const struct vmt_exec_asker *asker)
{
	uint32_t used = vmt_session_slots_used(session);

	for (uint32_t i = 0; i < used; i++)
		if (is_of(&session->slots[i], asker))
			return &session->slots[i];
	return NULL;
}

void
vmt_exec_request_fail(struct vmt_session *session, struct vmt_session_slot *slot,
		      const struct vmt_exec_asker *asker)
{
	uint32_t state = VMT_SESSION_EXEC_SEIZED;

	if (is_of(slot, asker) && vmt_atomic_cas(&slot->state, &state, VMT_SESSION_EXEC_FAILED))
		vmt_exec_request_wake(session);
}

struct vmt_session_slot *
vmt_exec_request_next(struct vmt_session *session)
{
	uint32_t used = vmt_session_slots_used(session);

	for (uint32_t i = 0; i < used; i++)
		if (vmt_atomic_load_acquire(&session->slots[i].state) == VMT_SESSION_EXEC_WANTED)
			return &session->slots[i];
	return NULL;
}

bool
vmt_exec_request_answer(struct vmt_session_slot *slot, enum vmt_session_state answer)
{
	uint32_t state = VMT_SESSION_EXEC_WANTED;

	if (!vmt_atomic_cas(&slot->state, &state, (uint32_t)answer))
		return false;
	vmt_sys_call3(SYS_futex, &slot->state, FUTEX_WAKE, INT_MAX);
	return true;
}

bool
vmt_exec_request_has_failed(const struct vmt_session_slot *slot)
{
	return vmt_atomic_load_acquire(&slot->state) == VMT_SESSION_EXEC_FAILED;
}

void
vmt_exec_request_free(struct vmt_session_slot *slot, uint32_t pid)
{
	(void)vmt_session_release(slot, pid);
}

void
vmt_exec_request_await(struct vmt_session *session, uint32_t seen, uint64_t longest_ns)
{
	sleep_while(&session->exec_wake, seen, longest_ns);
}
