#include "tools/cmd/record_attach.h"

#include "base/ticks.h"
#include "collect/collector.h"
#include "collect/exit_status.h"
#include "tools/cmd/launch.h"
#include "tools/cmd/record_forked.h"
#include "tools/cmd/record_session.h"
#include "tools/cmd/record_target.h"
#include "tools/cmd/stop_signals.h"
#include "tools/read/trace/zstd.h"
#include "tools/startup_pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the collector may wait while processes are attached to. */
#define TAKE_NS UINT64_C(50000000)

/* Fork children that are left one after another, before the collector works on; and how often it is
 * looked at one go whether they have children themselves. */
#define FORKED_AT_ONCE 64u
#define FORKED_LOOKS 8u

/* Looks for descendants that were born meanwhile. A program that makes one after another has its
 * end, too. */
#define TREE_LOOKS 16u

struct recording {
	struct vmt_record_attach *job;
	struct vmt_record_session session;
	struct vmt_record_target *targets;
	size_t count; /* those that were tried, and fork children that have been found */
	size_t room;
	uint32_t *announced; /* processes that have a trace */
	size_t announced_count;
	size_t announced_room;
	size_t tried; /* of the pids, so far */
	uint32_t tree_looks;
	char *settings;
	size_t settings_bytes;
	struct vmt_zstd_packer *packer;
	uint64_t start_ns; /* 0: not all have been tried */
	bool is_held;	   /* by a process that could not be attached to: all comes to its end */
};

/* Only where it is asked for: its functions are changed at their entry. */
static bool
wants_heap(const struct recording *recording)
{
	const char *mode = vmt_record_settings_text(recording->job->wanted, VMT_SETTING_MALLOC);

	return mode && strcmp(mode, "off") != 0;
}

/* Nothing hands the recorder on to a program that is executed. */
static bool
wants_forks(const struct recording *recording)
{
	const char *what = vmt_record_settings_text(recording->job->wanted, VMT_SETTING_FOLLOW);

	return !what || strcmp(what, "fork") == 0 || strcmp(what, "all") == 0;
}

/* What concerns programs that are started has no place here. */
static void
set_variables(const struct recording *recording)
{
	vmt_record_settings_export(recording->job->wanted);
	vmt_record_session_export(&recording->session);
	unsetenv(vmt_settings[VMT_SETTING_ONLY].variable);
	setenv(vmt_settings[VMT_SETTING_FOLLOW].variable, wants_forks(recording) ? "fork" : "none",
	       1);
	if (!wants_heap(recording))
		setenv(vmt_settings[VMT_SETTING_MALLOC].variable, "off", 1);
}

static bool
is_one(const struct recording *recording)
{
	return recording->job->pids->count == 1;
}

static bool
has_to_end(const struct recording *recording)
{
	return recording->is_held || vmt_stop_signals_came();
}

static const char *
hint(const struct recording *recording)
{
	return recording->job->for_ns == UINT64_MAX ? vmt_stop_signals_hint() : "";
}

/* NULL: no memory. */
static struct vmt_record_target *
new_target(struct recording *recording)
{
	if (recording->count == recording->room) {
		size_t room = recording->room * 2 + 16;
		struct vmt_record_target *more =
		    reallocarray(recording->targets, room, sizeof(*more));

		if (!more)
			return NULL;
		recording->targets = more;
		recording->room = room;
	}
	recording->targets[recording->count] = (struct vmt_record_target){.pid = 0};
	return &recording->targets[recording->count++];
}

/* Those that descend from one that was named may well have ended by now, or have been forked since
 * their parent is recorded, and are recorded by that. */
static void
take_next(struct recording *recording)
{
	struct vmt_record_attach *job = recording->job;
	size_t number = recording->tried++;
	uint32_t pid = job->pids->all[number];
	struct vmt_record_forked forked;
	struct vmt_record_target *target;

	if (vmt_record_forked_is_one(&forked, pid, recording->targets, recording->count))
		return;
	target = new_target(recording);
	if (!target)
		return;
	target->pid = pid;
	target->wants_heap = wants_heap(recording);
	vmt_record_session_lend(&recording->session, target->pid);
	if (vmt_record_target_take(target, recording->settings, recording->settings_bytes,
				   is_one(recording) ? hint(recording) : "",
				   is_one(recording) ? "" : "; it is left as it is")) {
		job->taken++;
		return;
	}
	job->refused += number < job->pids->named;
	recording->is_held |= target->is_held;
}

/* Whether there are more to be tried. */
static bool
has_more(struct recording *recording)
{
	struct vmt_record_attach *job = recording->job;

	if (recording->tried == job->pids->count && job->with_tree &&
	    recording->tree_looks < TREE_LOOKS) {
		recording->tree_looks++;
		(void)vmt_snapshot_pids_extend(job->pids);
	}
	return recording->tried < job->pids->count;
}

/* Those that are left over when it has to end are not tried any more. */
static void
take_some(struct recording *recording, uint64_t until_ns)
{
	const struct vmt_record_attach *job = recording->job;

	while (!has_to_end(recording) && has_more(recording)) {
		if (job->taken != 0 && vmt_ticks_monotonic_ns() >= until_ns)
			return;
		take_next(recording);
	}
	recording->start_ns = vmt_ticks_monotonic_ns();
	if (!is_one(recording) && job->taken != 0)
		fprintf(stderr, "vmtrace: recording %" PRIu32 " process%s%s\n", job->taken,
			job->taken == 1 ? "" : "es", hint(recording));
}

/* Who is held stands until this process has ended: that has to be soon. */
static void
end_at_once(struct recording *recording)
{
	for (size_t i = 0; i < recording->count; i++)
		if (recording->targets[i].is_held)
			vmt_record_target_say_held(&recording->targets[i]);
	vmt_record_session_close(&recording->session);
	exit(EXIT_FAILURE);
}

static void
leave_known(struct recording *recording, bool is_last)
{
	uint64_t now_ns = vmt_ticks_monotonic_ns();
	bool is_held = false;

	for (size_t i = 0; i < recording->count; i++) {
		struct vmt_record_target *target = &recording->targets[i];

		if (target->attach && !target->has_left &&
		    (is_last || now_ns >= target->next_try_ns))
			vmt_record_target_leave(target, is_last);
		is_held |= target->is_held;
	}
	if (is_held && !recording->is_held)
		end_at_once(recording);
}

/* How many fork children were found that nobody knew. */
static size_t
find_forked(struct recording *recording)
{
	struct vmt_record_forked found[FORKED_AT_ONCE];
	size_t many =
	    vmt_record_forked_find(found, FORKED_AT_ONCE, recording->targets, recording->count);
	size_t added = 0;

	for (size_t i = 0; i < many; i++) {
		struct vmt_record_target *target = new_target(recording);

		if (!target || !vmt_record_target_take_forked(target, found[i].pid,
							      &recording->targets[found[i].parent]))
			break;
		added++;
	}
	return added;
}

static bool
is_known(const struct recording *recording, uint32_t pid)
{
	for (size_t i = 0; i < recording->count; i++)
		if (recording->targets[i].pid == pid &&
		    (recording->targets[i].attach || recording->targets[i].is_left_mute))
			return true;
	return false;
}

/* A fork child may have become another user's. It is not waited for. */
static void
give_up_closed(struct recording *recording)
{
	for (size_t i = 0; i < recording->announced_count; i++) {
		uint32_t pid = recording->announced[i];
		struct vmt_record_target *target;

		if (is_known(recording, pid) || !vmt_exit_status_is_running(pid) ||
		    !vmt_record_forked_is_closed(pid))
			continue;
		target = new_target(recording);
		if (target)
			vmt_record_target_give_up(target, pid);
	}
}

/* Parents first: those who were left have no more children with the recorder. */
static void
leave_all(struct recording *recording, bool is_last)
{
	for (uint32_t look = 0; look < FORKED_LOOKS; look++) {
		leave_known(recording, is_last);
		if (find_forked(recording) == 0)
			break;
	}
	give_up_closed(recording);
}

/* Its trace may not have been announced to the collector. */
static bool
has_unleft(const struct recording *recording)
{
	for (size_t i = 0; i < recording->count; i++) {
		const struct vmt_record_target *target = &recording->targets[i];

		if (target->attach && !target->has_left && vmt_exit_status_is_running(target->pid))
			return true;
	}
	return false;
}

/* Asked each round of the collector. */
static bool
expects_more(void *context)
{
	struct recording *recording = context;

	if (recording->start_ns == 0)
		take_some(recording, vmt_ticks_monotonic_ns() + TAKE_NS);
	if (recording->start_ns == 0)
		return true;
	if (has_to_end(recording) ||
	    vmt_ticks_monotonic_ns() - recording->start_ns >= recording->job->for_ns)
		leave_all(recording, false);
	return has_unleft(recording);
}

static bool
is_left(void *context, uint32_t pid)
{
	const struct recording *recording = context;

	for (size_t i = 0; i < recording->count; i++)
		if (recording->targets[i].pid == pid)
			return recording->targets[i].is_left_mute;
	return false;
}

static size_t
compress(void *context, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	struct recording *recording = context;

	return vmt_zstd_compress(recording->packer, dst, dst_bytes, src, src_bytes);
}

static void
note_announced(struct recording *recording, uint32_t pid)
{
	if (recording->announced_count == recording->announced_room) {
		size_t room = recording->announced_room * 2 + 16;
		uint32_t *more = reallocarray(recording->announced, room, sizeof(*more));

		if (!more)
			return;
		recording->announced = more;
		recording->announced_room = room;
	}
	recording->announced[recording->announced_count++] = pid;
}

static void
announce(void *context, uint32_t pid, const char *path)
{
	struct recording *recording = context;

	note_announced(recording, pid);
	vmt_record_summary_add(&recording->job->recorded, path);
}

static int
collect(struct recording *recording)
{
	const struct vmt_record_settings *wanted = recording->job->wanted;
	struct vmt_collector_host host = {
	    .compress = compress,
	    .expects_more = expects_more,
	    .is_left = is_left,
	    .announce = announce,
	    .context = recording,
	    .interval_ns = wanted->interval_ns,
	    .residency_source = wanted->residency_source,
	    .touch_period = wanted->touch_period,
	    .max_bytes = wanted->max_bytes,
	    .ends_at_exec = true, /* nothing hands the recorder on */
	};
	int result;

	recording->packer = vmt_zstd_packer_new();
	vmt_startup_pages_release();
	result = vmt_collector_run(recording->session.shared, &host);
	vmt_zstd_packer_free(recording->packer);
	leave_all(recording, true);
	return result;
}

/* The first of them decides whether there is anything to be collected. */
static int
take_and_collect(struct recording *recording, struct vmt_err *err)
{
	struct vmt_record_attach *job = recording->job;
	int result = 0;

	job->start_ns = vmt_ticks_monotonic_ns();
	take_some(recording, job->start_ns);
	if (job->taken != 0)
		result = collect(recording);
	job->end_ns = vmt_ticks_monotonic_ns();
	if (recording->is_held)
		end_at_once(recording);
	if (result < 0)
		return vmt_err_set(err, -result, "the collector could not begin: %s",
				   strerror(-result));
	return 0;
}

static int
run(struct recording *recording, struct vmt_err *err)
{
	int result = vmt_record_session_open(&recording->session, recording->job->wanted, err);

	if (result < 0)
		return result;
	set_variables(recording);
	recording->settings = vmt_record_session_variables(&recording->settings_bytes);
	if (!recording->settings)
		return vmt_err_set(err, ENOMEM, "out of memory");
	vmt_stop_signals_catch();
	return take_and_collect(recording, err);
}

int
vmt_record_attach_run(struct vmt_record_attach *job, struct vmt_err *err)
{
	struct recording recording = {.job = job};
	int result = run(&recording, err);

	vmt_record_session_close(&recording.session);
	for (size_t i = 0; i < recording.count; i++)
		vmt_record_target_free(&recording.targets[i]);
	free(recording.targets);
	free(recording.announced);
	free(recording.settings);
	return result;
}
