#include "tools/cmd/record_attach.h"

#include "blob/blob_embed.h"
#include "collect/collector.h"
#include "inject/detach.h"
#include "tools/cmd/launch.h"
#include "tools/cmd/mapped_trace.h"
#include "tools/cmd/record_session.h"
#include "tools/cmd/stop_signals.h"
#include "tools/read/trace/zstd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each try may stop the program's threads several times. */
#define RETRY_NS UINT64_C(5000000000)

struct recording {
	struct vmt_record_attach *job;
	struct vmt_record_session session;
	struct vmt_attach *attach; /* large */
	char *settings;
	struct vmt_zstd_packer *packer;
	uint64_t start_ns;
	uint64_t next_try_ns;
	bool has_left; /* or can't */
	bool is_left_mute;
	bool has_failed;
};

/* What concerns programs that are started has no place here. */
static void
set_variables(const struct recording *recording)
{
	vmt_record_settings_export(recording->job->wanted);
	vmt_record_session_export(&recording->session);
	unsetenv(vmt_settings[VMT_SETTING_ONLY].variable);
	setenv(vmt_settings[VMT_SETTING_FOLLOW].variable, "none", 1);
}

static bool
put_recorder(struct vmt_attach *attach)
{
	const char *other = vmt_mapped_trace_recorder((uint32_t)attach->pid);

	return other ? vmt_why_put(attach->why, other, 0) : vmt_attach_run(attach);
}

/* 1: it is recorded; 0: it can't be. Negative errno: nor may it be watched. */
static int
attach(struct recording *recording, struct vmt_err *err)
{
	struct vmt_attach *attach = recording->attach;
	uint32_t pid = recording->job->pid;

	attach->pid = (pid_t)pid;
	attach->blob = vmt_blob_embed;
	attach->blob_bytes = (uintptr_t)vmt_blob_embed_end - (uintptr_t)vmt_blob_embed;
	attach->settings = recording->settings;
	if (!put_recorder(attach)) {
		if (attach->is_held)
			return vmt_err_set(
			    err, ETIMEDOUT,
			    "process %" PRIu32
			    ": a thread does not come to a stop, and is not held once "
			    "vmtrace has ended",
			    pid);
		fprintf(stderr, "vmtrace: the calls of process %" PRIu32 " can't be recorded: %s\n",
			pid, attach->why);
		return 0;
	}
	recording->start_ns = vmt_launch_now_ns();
	fprintf(stderr, "vmtrace: recording process %" PRIu32 ": %zu system calls in its code", pid,
		attach->calls);
	if (attach->images.calls_left != 0)
		fprintf(stderr, ", but not %" PRIu64 " near which no memory is free",
			attach->images.calls_left);
	fprintf(stderr, "%s\n", recording->job->for_ns == UINT64_MAX ? "; Ctrl-C ends it" : "");
	return 1;
}

/* The kernel lets a thread go whose tracer has ended. */
static void
end_at_once(struct recording *recording)
{
	fprintf(stderr,
		"vmtrace: process %" PRIu32
		": a thread does not come to a stop, and is not held once vmtrace has ended%s\n",
		recording->job->pid,
		recording->attach->is_put_back
		    ? "; its code is put back, unused mappings stay in it"
		    : "; its calls go on through the recorder");
	vmt_record_session_close(&recording->session);
	exit(EXIT_FAILURE);
}

/* It is tried again. From now on signals end vmtrace. */
static void
say_failed(struct recording *recording, bool is_last)
{
	if (!recording->has_failed)
		fprintf(stderr, "vmtrace: process %" PRIu32 " can't be left%s: %s; %s%s\n",
			recording->job->pid, is_last ? "" : " yet", recording->attach->why,
			recording->attach->is_put_back
			    ? "its code is put back, unused mappings stay in it"
			    : "its calls may go on through the recorder",
			is_last ? "" : "; another signal ends vmtrace");
	recording->has_failed = true;
	vmt_stop_signals_let_go();
	recording->next_try_ns = vmt_launch_now_ns() + RETRY_NS;
}

static void
leave(struct recording *recording, bool is_last)
{
	const struct vmt_attach *attach = recording->attach;
	enum vmt_detach_result result = vmt_detach_run(recording->attach);

	if (attach->is_held)
		end_at_once(recording);
	if (result == VMT_DETACH_FAILED ||
	    (result == VMT_DETACH_STAYS && attach->parameters.state != VMT_BLOB_ENDED)) {
		say_failed(recording, is_last);
		return;
	}
	if (result == VMT_DETACH_STAYS)
		fprintf(stderr,
			"vmtrace: left process %" PRIu32
			"; unused mappings stay in it, as a thread may come back to them\n",
			recording->job->pid);
	if (result == VMT_DETACH_MUTE)
		fprintf(
		    stderr,
		    "vmtrace: left process %" PRIu32
		    "; its code is put back, unused mappings stay in it, as no call can be made "
		    "there\n",
		    recording->job->pid);
	recording->is_left_mute = result == VMT_DETACH_MUTE;
	recording->has_left = true;
}

/* Asked each round of the collector. */
static bool
expects_more(void *context)
{
	struct recording *recording = context;
	uint64_t now_ns = vmt_launch_now_ns();
	bool is_time = now_ns - recording->start_ns >= recording->job->for_ns;

	if (!recording->has_left && now_ns >= recording->next_try_ns &&
	    (is_time || vmt_stop_signals_came()))
		leave(recording, false);
	return false;
}

static bool
is_left(void *context)
{
	return ((struct recording *)context)->is_left_mute;
}

static size_t
compress(void *context, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	struct recording *recording = context;

	return vmt_zstd_compress(recording->packer, dst, dst_bytes, src, src_bytes);
}

static void
announce(void *context, uint32_t pid, const char *path)
{
	struct recording *recording = context;

	(void)pid;
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
	    .first_pid = recording->job->pid,
	};
	int result;

	recording->packer = vmt_zstd_packer_new();
	result = vmt_collector_run(recording->session.shared, &host);
	vmt_zstd_packer_free(recording->packer);
	if (!recording->has_left)
		leave(recording, true);
	return result;
}

static int
run(struct recording *recording, bool *done, struct vmt_err *err)
{
	int result = vmt_record_session_open(&recording->session, recording->job->wanted, err);

	if (result < 0)
		return result;
	set_variables(recording);
	recording->settings = vmt_record_session_variables(&recording->attach->settings_bytes);
	if (!recording->settings)
		return vmt_err_set(err, ENOMEM, "out of memory");
	vmt_stop_signals_catch();
	result = attach(recording, err);
	if (result <= 0)
		return result;
	*done = true;
	result = collect(recording);
	recording->job->lasted_ns = vmt_launch_now_ns() - recording->start_ns;
	if (result < 0)
		return vmt_err_set(err, -result, "the collector could not begin: %s",
				   strerror(-result));
	return 0;
}

int
vmt_record_attach_run(struct vmt_record_attach *job, bool *done, struct vmt_err *err)
{
	struct recording recording = {.job = job, .attach = calloc(1, sizeof(struct vmt_attach))};
	int result = -ENOMEM;

	*done = false;
	if (recording.attach)
		result = run(&recording, done, err);
	else
		vmt_err_set(err, ENOMEM, "out of memory");
	vmt_record_session_close(&recording.session);
	if (recording.attach)
		vmt_attach_close(recording.attach);
	free(recording.attach);
	free(recording.settings);
	return result;
}
