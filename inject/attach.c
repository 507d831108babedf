#include "inject/attach.h"

#include "base/pages.h"
#include "base/procfs.h"
#include "base/roomy.h"
#include "base/sys.h"
#include "inject/attach_obstacle.h"
#include "inject/attach_stop.h"
#include "inject/leave.h"
#include "inject/program_start.h"
#include "inject/shared_memory.h"
#include "inject/spare_signal.h"

#include <errno.h>
#include <string.h>

#define RUN_NS UINT64_C(20000000000) /* a file is made, on whatever file system */

struct job {
	struct vmt_attach *attach;
	struct vmt_target target;
	struct vmt_attach_stop stop;
	struct vmt_remote remote;
	int answer_error; /* it answers, but what is no answer */
};

static bool
refuse(struct job *job, const char *what, int error)
{
	return vmt_why_put(job->attach->why, what, error);
}

static bool
explain(struct job *job, int error)
{
	vmt_attach_obstacle_explain(job->attach->pid, error, job->attach->why);
	return false;
}

static bool
read_auxv(struct job *job)
{
	struct vmt_blob_parameters *parameters = &job->attach->parameters;
	struct vmt_program_start auxv;

	if (vmt_program_start_read(&auxv, job->attach->pid) < 0 ||
	    auxv.page_bytes != vmt_page_bytes)
		return refuse(job, "/proc does not show how it started", 0);
	parameters->program_headers = auxv.program_headers;
	parameters->page_bytes = auxv.page_bytes;
	parameters->reads_thread_base = auxv.reads_thread_base;
	parameters->attached = 1;
	return true;
}

static bool
count_one(void *context, const struct vmt_mapping *mapping)
{
	(void)mapping;
	++*(uint32_t *)context;
	return true;
}

/* They are told of while it stands, and nobody collects: there has to be room for them. */
static void
count_mappings(struct job *job)
{
	static VMT_ROOMY char buffer[VMT_PROCFS_LINE_BYTES];
	struct vmt_blob_parameters *parameters = &job->attach->parameters;
	int fd = vmt_procfs_open((uint32_t)job->attach->pid, "maps");

	parameters->mappings = 0;
	if (fd < 0)
		return;
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), count_one, &parameters->mappings);
	vmt_sys_close(fd);
}

/* While it runs. */
static bool
find_calls(struct job *job)
{
	struct vmt_attach *attach = job->attach;
	int error;

	if (vmt_attach_obstacle_find(attach->pid, attach->why))
		return false;
	error = vmt_target_open(&job->target, attach->pid);
	if (error < 0)
		return explain(job, error);
	job->target.reads_at_once = true;
	if (!read_auxv(job))
		return false;
	count_mappings(job);
	attach->images.wants_heap = attach->wants_heap;
	attach->images.must_stop = attach->must_stop;
	error = vmt_attach_images_find(&attach->images, &job->target,
				       attach->parameters.program_headers);
	if (error == -EINTR)
		return refuse(job, "a signal came while its code was read", 0);
	if (error < 0)
		return refuse(job, "its code can't be read", error);
	attach->calls = vmt_attach_images_possible(&attach->images);
	if (attach->calls == 0)
		return refuse(job, "no memory call was found in its code", 0);
	return true;
}

static bool
prepare(struct job *job)
{
	struct vmt_attach *attach = job->attach;
	int error = vmt_blob_image_read(&attach->placement.image, attach->blob, attach->blob_bytes);

	if (error < 0)
		return refuse(job, "this build has no recorder to be put into it", error);
	if (attach->settings_bytes > sizeof(attach->parameters.settings))
		return refuse(job, "its settings are too long", 0);
	if (!find_calls(job))
		return false;
	error = vmt_attach_stop_open(&job->stop, &job->target);
	return error == 0 || explain(job, error);
}

static int
check(void *context, const struct vmt_stopped_threads *threads, bool last)
{
	struct job *job = context;

	if (vmt_shared_memory_is_there(job->attach->pid))
		return -EMLINK;
	return vmt_attach_images_check(&job->attach->images, &job->target, threads, last);
}

/* 0: it is there, and has not run. */
static int
put_blob(struct job *job)
{
	struct vmt_attach *attach = job->attach;
	struct vmt_blob_parameters *parameters = &attach->parameters;
	int error = vmt_blob_placement_map(&attach->placement, &job->remote);

	vmt_attach_images_set_handlers(&attach->images, attach->placement.address,
				       attach->placement.image.handlers);
	if (error == 0)
		error = vmt_attach_images_map(&attach->images, &job->remote,
					      attach->placement.address +
						  attach->placement.image.entry);
	if (error < 0)
		return error;
	attach->calls = vmt_attach_images_possible(&attach->images);
	vmt_attach_images_describe(&attach->images, parameters);
	parameters->resume_pc = job->stop.frame.restorer_address;
	parameters->resume_sp = job->stop.frame.address + sizeof(uint64_t);
	parameters->resume_mask = UINT64_MAX;
	parameters->shares_pointer = vmt_attach_stop_shares_pointer(&job->stop);
	parameters->signal =
	    (uint32_t)vmt_spare_signal_find(attach->pid, job->stop.agent, job->remote.kept_mask);
	memcpy(parameters->settings, attach->settings, attach->settings_bytes);
	return vmt_blob_placement_write(&attach->placement, &job->target, parameters);
}

static bool
has_answered(void *context)
{
	struct job *job = context;
	struct vmt_attach *attach = job->attach;

	job->answer_error =
	    vmt_blob_placement_read(&attach->placement, &job->target, &attach->parameters);
	return job->answer_error < 0 || attach->parameters.state != VMT_BLOB_NOT_RUN;
}

/* The blob has left out what lies in two pages. */
static int
make_jump(struct job *job, const struct vmt_blob_go_place *place)
{
	struct vmt_attach *attach = job->attach;
	struct vmt_attach_jump *jump = &attach->jumps[attach->jumps_count];
	uint64_t end = place->address + VMT_CUTS_JUMP_BYTES;
	int32_t distance = (int32_t)(place->stub - end);
	int result;

	jump->new_bytes[0] = 0xe9;
	memcpy(jump->new_bytes + 1, &distance, sizeof(distance));
	jump->address = place->address;
	result =
	    vmt_target_read(&job->target, place->address, jump->old_bytes, sizeof(jump->old_bytes));
	if (result == 0)
		result = vmt_target_write(&job->target, place->address, jump->new_bytes,
					  sizeof(jump->new_bytes));
	if (result == 0)
		attach->jumps_count++;
	return result;
}

/* All, or none. */
static int
lead_calls(struct job *job)
{
	struct vmt_attach *attach = job->attach;
	const struct vmt_blob_parameters *parameters = &attach->parameters;
	int error = vmt_attach_images_make(&attach->images, &job->target);

	for (uint32_t i = 0; error == 0 && i < parameters->go_places_count; i++)
		error = make_jump(job, &parameters->go_places[i]);
	if (error == 0 && !vmt_return_frame_is_intact(&job->stop.frame, &job->target))
		error = -EBUSY;
	if (error < 0)
		(void)vmt_leave_undo(attach, &job->target);
	return error;
}

/* Lets the agent run the blob. True: it records. */
static bool
run_blob(struct job *job)
{
	struct vmt_attach *attach = job->attach;
	uint64_t start = attach->placement.address + attach->placement.image.start;
	int error = vmt_remote_run(&job->remote, start, (int)attach->parameters.signal,
				   has_answered, job, vmt_sys_clock_ns(CLOCK_MONOTONIC) + RUN_NS);

	if (error == 0)
		error = job->answer_error;
	if (error < 0) /* wherever it was, its memory has to stay */
		return refuse(job,
			      "the recorder did not begin in it, and what it has mapped or opened "
			      "there stays, unused",
			      error);
	if (attach->parameters.state != VMT_BLOB_RECORDING)
		(void)refuse(job, attach->parameters.why, 0);
	else if ((error = lead_calls(job)) < 0)
		(void)refuse(job, "its code can't be changed", error);
	else
		return true;
	(void)vmt_leave_unmap(attach, &job->remote, true);
	vmt_attach_images_unmap(&attach->images, &job->remote); /* what it did not get to know of */
	return false;
}

/* With all threads stopped. True: it records. */
static bool
begin(struct job *job)
{
	struct vmt_attach *attach = job->attach;
	bool records = false;
	int error =
	    vmt_remote_begin_guarded(&job->remote, &job->target, job->stop.agent, &job->stop.frame);

	if (error == 0) {
		attach->call = vmt_return_frame_call(job->stop.agent, &job->remote.kept);
		error = put_blob(job);
	}
	if (error == 0) {
		records = run_blob(job);
	} else {
		(void)refuse(job, vmt_why_no_room(error), 0);
		vmt_blob_placement_unmap(&attach->placement, &job->remote);
		vmt_attach_images_unmap(&attach->images, &job->remote);
	}
	if (vmt_remote_end(&job->remote) < 0)
		return refuse(job, "it did not come back from its last call", 0);
	return records;
}

static bool
run(struct job *job)
{
	struct vmt_attach *attach = job->attach;
	bool done;
	int error;

	if (!prepare(job))
		return false;
	error = vmt_attach_stop_run(&job->stop, check, job);
	if (error < 0)
		return explain(job, error);
	attach->threads = job->stop.threads.count;
	done = begin(job);
	attach->stopped_ns = vmt_attach_stop_let_go(&job->stop);
	return done;
}

bool
vmt_attach_run(struct vmt_attach *attach)
{
	struct job job = {.attach = attach, .target = {.mem_fd = -1}};
	bool done;

	attach->why[0] = '\0';
	done = run(&job);
	attach->is_held = job.stop.held > 0;
	vmt_target_close(&job.target);
	vmt_attach_stop_close(&job.stop);
	return done;
}

bool
vmt_attach_can_try(struct vmt_attach *attach)
{
	struct job job = {.attach = attach, .target = {.mem_fd = -1}};
	bool can;

	attach->why[0] = '\0';
	can = find_calls(&job);
	if (can && !vmt_attach_images_have_place(&attach->images, &job.target))
		can = refuse(&job, vmt_why_no_room(-ENOSPC), 0);
	vmt_target_close(&job.target);
	return can;
}

void
vmt_attach_close(struct vmt_attach *attach)
{
	vmt_attach_images_close(&attach->images);
}
