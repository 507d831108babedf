#include "inject/detach.h"

#include "inject/attach_obstacle.h"
#include "inject/attach_stop.h"
#include "inject/leave.h"
#include "inject/shared_memory.h"

#include <errno.h>

#define SHORT_TRIES 4u

struct job {
	struct vmt_attach *attach;
	uint32_t tries; /* 0: all */
	struct vmt_target target;
	struct vmt_attach_stop stop;
	bool is_quiet;
	bool is_mute; /* no call can be made in it */
};

/* The address space may be another program's by now: what was put there tells. */
static bool
is_the_same(struct job *job)
{
	const struct vmt_blob_parameters *known = &job->attach->parameters;
	struct vmt_blob_parameters now;
	int error = vmt_blob_placement_read(&job->attach->placement, &job->target, &now);

	/* Where it is in disorder the code is put back all the same. */
	return (error == 0 || error == -EBADMSG) && now.low == known->low &&
	       now.high == known->high && now.resume_pc == known->resume_pc &&
	       now.state == VMT_BLOB_RECORDING;
}

/* With all threads stopped. The code is put back at once, whoever is where. */
static int
check(void *context, const struct vmt_stopped_threads *threads, bool last)
{
	struct job *job = context;
	int result;

	if (!is_the_same(job))
		return -ESRCH;
	/* Who runs there while the code is written may read half of it. */
	if (vmt_shared_memory_is_there(job->attach->pid))
		return last ? -EMLINK : -EBUSY;
	result = vmt_leave_undo(job->attach, &job->target);
	if (result < 0)
		return result;
	job->attach->is_put_back = true;
	job->is_mute = job->stop.agent == 0 || vmt_attach_obstacle_has_filter(job->stop.agent);
	if (job->is_mute)
		return 0;
	result = vmt_leave_is_in_use(job->attach, &job->target, threads);
	if (result < 0)
		return result;
	job->is_quiet = result == 0;
	return job->is_quiet || last ? 0 : -EBUSY;
}

/* It may have been put back by an attempt before the one that failed, or by an earlier call. */
static enum vmt_detach_result
failed(const struct job *job)
{
	return job->attach->is_put_back ? VMT_DETACH_STAYS : VMT_DETACH_FAILED;
}

static enum vmt_detach_result
fail(struct job *job, const char *what, int error)
{
	(void)vmt_why_put(job->attach->why, what, error);
	return failed(job);
}

static enum vmt_detach_result
leave(struct job *job)
{
	struct vmt_remote remote;
	int left = -EIO;
	int error;

	job->stop.frame.earlier = job->attach->call;
	error = vmt_remote_begin_guarded(&remote, &job->target, job->stop.agent, &job->stop.frame);

	if (error == 0)
		left = vmt_leave_unmap(job->attach, &remote, job->is_quiet);
	if (vmt_remote_end(&remote) < 0 && error == 0)
		return fail(job, "it did not come back from its last call", 0);
	if (error < 0)
		return fail(job, "no call can be made in it", error);
	if (left < 0)
		return fail(job, "the recorder did not end in it", left);
	return left == 1 ? VMT_DETACH_DONE : VMT_DETACH_STAYS;
}

static enum vmt_detach_result
run(struct job *job)
{
	enum vmt_detach_result result;
	int error = vmt_target_open(&job->target, job->attach->pid);

	job->target.reads_at_once = true;
	if (error == 0 && vmt_shared_memory_is_there(job->attach->pid))
		error = -EMLINK;
	if (error == 0)
		error = vmt_attach_stop_open(&job->stop, &job->target);
	job->stop.may_do_without = true;
	job->stop.tries = job->tries;
	if (error == 0)
		error = vmt_attach_stop_run(&job->stop, check, job);
	if (error == -ESRCH || error == -ENOENT)
		return VMT_DETACH_GONE;
	if (job->tries != 0 && (error == -EBUSY || error == -EDEADLK))
		return VMT_DETACH_BUSY;
	if (error < 0) {
		vmt_attach_obstacle_explain(job->attach->pid, error, job->attach->why);
		return failed(job);
	}
	result = job->is_mute ? VMT_DETACH_MUTE : leave(job);
	job->attach->stopped_ns = vmt_attach_stop_let_go(&job->stop);
	return result;
}

static enum vmt_detach_result
detach(struct vmt_attach *attach, uint32_t tries)
{
	struct job job = {.attach = attach, .tries = tries, .target = {.mem_fd = -1}};
	enum vmt_detach_result result;

	attach->why[0] = '\0';
	result = run(&job);
	attach->is_held = job.stop.held > 0;
	vmt_target_close(&job.target);
	vmt_attach_stop_close(&job.stop);
	return result;
}

enum vmt_detach_result
vmt_detach_run(struct vmt_attach *attach)
{
	return detach(attach, 0);
}

enum vmt_detach_result
vmt_detach_try(struct vmt_attach *attach)
{
	return detach(attach, SHORT_TRIES);
}
