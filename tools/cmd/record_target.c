#include "tools/cmd/record_target.h"

#include "base/ticks.h"
#include "blob/blob_embed.h"
#include "inject/detach.h"
#include "tools/cmd/launch.h"
#include "tools/cmd/mapped_trace.h"
#include "tools/cmd/stop_signals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Each try may stop the program's threads several times. */
#define RETRY_NS UINT64_C(5000000000)
#define SHORT_TRIES 8u
#define SHORT_RETRY_NS UINT64_C(5000000)

static bool
put_recorder(struct vmt_attach *attach)
{
	const char *other = vmt_mapped_trace_recorder((uint32_t)attach->pid);

	return other ? vmt_why_put(attach->why, other, 0) : vmt_attach_run(attach);
}

static bool
refuse(const struct vmt_record_target *target, const char *why, const char *otherwise)
{
	fprintf(stderr, "vmtrace: the calls of process %" PRIu32 " can't be recorded: %s%s\n",
		target->pid, why, otherwise);
	return false;
}

static void
say_heap(const struct vmt_attach *attach)
{
	uint64_t first;
	const char *why;
	uint32_t unled = vmt_attach_images_unled(&attach->images, &first, &why);
	uint32_t led = vmt_attach_images_led(&attach->images);

	if (led != 0)
		fprintf(stderr, ", %u functions of its malloc", led);
	else
		fprintf(stderr, ", none of its malloc");
	if (unled != 0 && why)
		fprintf(stderr, " (not %u of them: the first, at %#" PRIx64 ", %s)", unled, first,
			why);
}

static void
say_taken(const struct vmt_record_target *target, const char *hint)
{
	const struct vmt_attach *attach = target->attach;

	fprintf(stderr, "vmtrace: recording process %" PRIu32 ": %zu system calls in its code",
		target->pid, attach->calls);
	if (attach->images.calls_left != 0)
		fprintf(stderr, ", but not %" PRIu64 " near which no memory is free",
			attach->images.calls_left);
	if (target->wants_heap)
		say_heap(attach);
	fprintf(stderr, "%s\n", hint);
}

static struct vmt_attach *
copy_for_child(const struct vmt_attach *attach)
{
	struct vmt_attach *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *attach;
	copy->call = (struct vmt_return_call){.tid = 0};
	return copy;
}

bool
vmt_record_target_take(struct vmt_record_target *target, const char *settings,
		       size_t settings_bytes, const char *hint, const char *otherwise)
{
	struct vmt_attach *attach = calloc(1, sizeof(*attach));

	if (!attach)
		return refuse(target, "out of memory", otherwise);
	*attach = (struct vmt_attach){
	    .pid = (pid_t)target->pid,
	    .blob = vmt_blob_embed,
	    .blob_bytes = (uintptr_t)vmt_blob_embed_end - (uintptr_t)vmt_blob_embed,
	    .settings = settings,
	    .settings_bytes = settings_bytes,
	    .wants_heap = target->wants_heap,
	    .must_stop = vmt_stop_signals_came,
	};
	target->attach = attach;
	if (!put_recorder(attach)) {
		target->is_held = attach->is_held;
		if (!target->is_held)
			(void)refuse(target, attach->why, otherwise);
		vmt_record_target_free(target);
		return false;
	}
	target->forked = copy_for_child(attach);
	say_taken(target, hint);
	return true;
}

bool
vmt_record_target_take_forked(struct vmt_record_target *target, uint32_t pid,
			      const struct vmt_record_target *parent)
{
	struct vmt_attach *attach = copy_for_child(parent->forked);

	if (!attach)
		return false;
	attach->pid = (pid_t)pid;
	*target = (struct vmt_record_target){.pid = pid, .attach = attach, .is_forked = true};
	return true;
}

/* It is tried again. From now on signals end vmtrace. */
static void
say_failed(struct vmt_record_target *target, bool is_last)
{
	if (!target->has_failed)
		fprintf(stderr, "vmtrace: process %" PRIu32 " can't be left%s: %s; %s%s\n",
			target->pid, is_last ? "" : " yet", target->attach->why,
			target->attach->is_put_back
			    ? "its code is put back, unused mappings stay in it"
			    : "its calls may go on through the recorder",
			is_last ? "" : "; another signal ends vmtrace");
	target->has_failed = true;
	vmt_stop_signals_let_go();
	target->next_try_ns = vmt_ticks_monotonic_ns() + RETRY_NS;
}

static enum vmt_detach_result
try_to_leave(struct vmt_record_target *target, bool is_last)
{
	if (is_last || target->short_tries == SHORT_TRIES)
		return vmt_detach_run(target->attach);
	target->short_tries++;
	target->next_try_ns = vmt_ticks_monotonic_ns() + SHORT_RETRY_NS;
	return vmt_detach_try(target->attach);
}

void
vmt_record_target_leave(struct vmt_record_target *target, bool is_last)
{
	const struct vmt_attach *attach = target->attach;
	enum vmt_detach_result result = try_to_leave(target, is_last);

	target->is_held = attach->is_held;
	if (target->is_held || result == VMT_DETACH_BUSY)
		return;
	if (result == VMT_DETACH_FAILED ||
	    (result == VMT_DETACH_STAYS && attach->parameters.state != VMT_BLOB_ENDED)) {
		say_failed(target, is_last);
		return;
	}
	if (result == VMT_DETACH_STAYS)
		fprintf(stderr,
			"vmtrace: left process %" PRIu32
			"; unused mappings stay in it, as a thread may come back to them\n",
			target->pid);
	if (result == VMT_DETACH_MUTE)
		fprintf(
		    stderr,
		    "vmtrace: left process %" PRIu32
		    "; its code is put back, unused mappings stay in it, as no call can be made "
		    "there\n",
		    target->pid);
	target->is_left_mute = result == VMT_DETACH_MUTE;
	target->has_left = true;
}

void
vmt_record_target_give_up(struct vmt_record_target *target, uint32_t pid)
{
	fprintf(stderr,
		"vmtrace: process %" PRIu32
		" can't be left: vmtrace may not trace it; its calls may go on through the "
		"recorder, unrecorded\n",
		pid);
	*target = (struct vmt_record_target){.pid = pid, .has_left = true, .is_left_mute = true};
}

/* The kernel lets a thread go whose tracer has ended. */
void
vmt_record_target_say_held(const struct vmt_record_target *target)
{
	const char *then = "";

	if (target->attach)
		then = target->attach->is_put_back
			   ? "; its code is put back, unused mappings stay in it"
			   : "; its calls go on through the recorder";
	fprintf(stderr,
		"vmtrace: process %" PRIu32
		": a thread does not come to a stop, and is not held once vmtrace has ended%s\n",
		target->pid, then);
}

void
vmt_record_target_free(struct vmt_record_target *target)
{
	if (!target->attach)
		return;
	if (!target->is_forked)
		vmt_attach_close(target->attach);
	free(target->attach);
	free(target->forked);
	target->attach = target->forked = NULL;
}
