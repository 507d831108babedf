#include "inject/static_start.h"

#include "base/roomy.h"
#include "base/sys.h"
#include "base/text.h"
#include "blob/blob_parameters.h"
#include "inject/blob_placement.h"
#include "inject/cut_search.h"
#include "inject/program_cuts.h"
#include "inject/program_start.h"
#include "inject/remote_call.h"
#include "inject/target_memory.h"
#include "inject/tracee.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define RUN_NS UINT64_C(10000000000) /* a file is made, on whatever file system */
#define OTHER_STOPS 64u
#define EXITKILL (UINT32_C(1) << 20) /* PTRACE_O_EXITKILL */

struct job {
	struct vmt_static_start *start;
	struct vmt_target target;
	struct vmt_remote remote;
	struct vmt_blob_parameters parameters;
	struct vmt_program_cuts cuts;
	struct vmt_registers registers; /* at the stop */
	uint64_t mask;
	struct vmt_blob_placement placement;
};

static bool
refuse(struct job *job, const char *what, int error)
{
	return vmt_why_put(job->start->why, what, error);
}

static bool
refuse_signal(struct job *job, int signal)
{
	struct vmt_text_out out = vmt_text_out_begin(job->start->why, VMT_WHY_BYTES);

	vmt_text_put(&out, "the recorder failed in it by signal ");
	vmt_text_put_decimal(&out, (uint64_t)signal);
	return false;
}

static bool
read_auxv(struct job *job)
{
	struct vmt_program_start auxv;

	if (vmt_program_start_read(&auxv, job->start->pid) < 0)
		return refuse(job, "/proc does not show how it starts", 0);
	if (auxv.is_secure)
		return refuse(job, "the program runs with raised privileges", 0);
	/* What was announced was another file, and the library is among what is loaded. */
	if (auxv.loader != 0)
		return false;
	job->parameters.program_headers = auxv.program_headers;
	job->parameters.page_bytes = auxv.page_bytes;
	job->parameters.executed = auxv.executed;
	job->parameters.reads_thread_base = auxv.reads_thread_base;
	return true;
}

static void
unmap(struct job *job)
{
	vmt_blob_placement_unmap(&job->placement, &job->remote);
	vmt_program_cuts_unmap(&job->cuts, &job->remote);
}

static int
write_blob(struct job *job)
{
	struct vmt_blob_parameters *parameters = &job->parameters;

	parameters->starts = 1;
	parameters->resume_pc = job->registers.user.rip;
	parameters->resume_sp = job->registers.user.rsp;
	parameters->resume_mask = job->mask;
	parameters->signal = SIGURG;
	parameters->calls_unseen =
	    (uint32_t)vmt_program_cuts_impossible(&job->cuts, &parameters->calls_unseen_at);
	parameters->hides_alternates = vmt_program_cuts_hide_alternates(&job->cuts);
	parameters->heap_functions = job->cuts.heap.led;
	parameters->heap_unseen = vmt_heap_hooks_unled(&job->cuts.heap);
	parameters->heap_is_glibc = job->cuts.heap.is_glibc;
	parameters->heap_unseen_at = job->cuts.heap.unled_at;
	parameters->stubs[0] =
	    (struct vmt_blob_range){job->cuts.stubs, job->cuts.stubs ? job->cuts.stubs_bytes : 0};
	parameters->frame_index = job->cuts.index;
	parameters->frame_index_bytes = vmt_frame_index_bytes(&job->cuts.frames);
	parameters->frames_low = job->cuts.frames.frames_low;
	parameters->frames_high = job->cuts.frames.frames_high;
	memcpy(parameters->settings, job->start->settings, job->start->settings_bytes);
	return vmt_blob_placement_write(&job->placement, &job->target, parameters);
}

/* True: the blob is there, and has not run. Else nothing is. While a call of ours stands in its
 * registers it must not outlive this process; before and after that it may. */
static bool
put_blob(struct job *job)
{
	int error = (int)vmt_tracee_ask(VMT_PTRACE_SETOPTIONS, job->start->pid, 0, EXITKILL);

	if (error == 0)
		error = vmt_remote_begin(&job->remote, &job->target, job->start->pid, 0);
	if (error < 0)
		return refuse(job, "no call can be made in it", error);
	error = vmt_blob_placement_map(&job->placement, &job->remote);
	for (uint32_t i = 0; i < VMT_HEAP_ENTRIES_COUNT; i++)
		job->cuts.handlers[i] = job->placement.address + job->placement.image.handlers[i];
	if (error == 0)
		error = vmt_program_cuts_map(&job->cuts, &job->remote,
					     job->placement.address + job->placement.image.entry);
	if (error == 0)
		error = write_blob(job);
	if (error < 0)
		unmap(job);
	if (vmt_remote_end(&job->remote) < 0)
		return refuse(job, "it could not be given back its registers", 0);
	(void)vmt_tracee_ask(VMT_PTRACE_SETOPTIONS, job->start->pid, 0, 0);
	return error == 0 || refuse(job, vmt_why_no_room(error), 0);
}

static bool
has_answered(struct job *job)
{
	return vmt_blob_placement_read(&job->placement, &job->target, &job->parameters) == 0 &&
	       job->parameters.state != VMT_BLOB_NOT_RUN;
}

/* Runs the blob to its end. A signal that the program is to get later is remembered: only SIGSTOP
 * can come. False: it was stopped by something else, or has gone. */
static bool
run_to_answer(struct job *job)
{
	uint64_t deadline_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + RUN_NS;
	pid_t pid = job->start->pid;
	int status;
	int error;

	for (uint32_t i = 0; i < OTHER_STOPS; i++) {
		if (vmt_tracee_ask(VMT_PTRACE_CONT, pid, 0, 0) < 0)
			return refuse(job, "it ended", 0);
		error = vmt_tracee_wait(pid, deadline_ns, &status);
		if (error == -ETIMEDOUT) {
			vmt_sys_call3(SYS_tgkill, pid, pid, SIGSTOP);
			(void)vmt_tracee_wait(pid, deadline_ns + RUN_NS, &status);
			return refuse(job, "the recorder did not begin within 10 s", 0);
		}
		if (error < 0 || !WIFSTOPPED(status))
			return refuse(job, "it ended", 0);
		if (WSTOPSIG(status) == SIGURG && has_answered(job))
			return true;
		if (WSTOPSIG(status) == SIGSTOP)
			job->start->signal = SIGSTOP;
		else if (WSTOPSIG(status) != SIGURG)
			return refuse_signal(job, WSTOPSIG(status));
	}
	return refuse(job, "the recorder did not begin", 0);
}

/* The mask before the registers: if this process is killed between the two, the blob runs on to its
 * end, where it sets the program's mask itself. */
static int
give_back(struct job *job)
{
	int error = vmt_tracee_write_mask(job->start->pid, job->mask);

	return error < 0 ? error : vmt_tracee_write_registers(job->start->pid, &job->registers);
}

static void
take_blob_away(struct job *job)
{
	if (vmt_remote_begin(&job->remote, &job->target, job->start->pid, 0) < 0)
		return;
	unmap(job);
	(void)vmt_remote_end(&job->remote);
}

static bool
run_blob(struct job *job)
{
	struct vmt_registers registers = job->registers;
	uint64_t all_but_one = ~(UINT64_C(1) << (SIGURG - 1));
	bool begun;

	registers.user.rip = job->placement.address + job->placement.image.start;
	registers.user.orig_rax = UINT64_MAX;
	(void)vmt_tracee_ask(VMT_PTRACE_SETOPTIONS, job->start->pid, 0, 0);
	/* The registers before the mask, for the same reason: the program never has that mask. */
	begun = vmt_tracee_write_registers(job->start->pid, &registers) == 0 &&
		vmt_tracee_write_mask(job->start->pid, all_but_one) == 0 && run_to_answer(job);
	(void)give_back(job);
	if (begun && job->parameters.state == VMT_BLOB_RECORDING) {
		int error = vmt_program_cuts_make(&job->cuts, &job->target);

		return error == 0 || refuse(job, "its code can't be changed", error);
	}
	if (begun)
		(void)refuse(job, job->parameters.why, 0);
	take_blob_away(job);
	return false;
}

static bool
prepare(struct job *job)
{
	struct vmt_static_start *start = job->start;
	int error = vmt_blob_image_read(&job->placement.image, start->blob, start->blob_bytes);

	if (error < 0)
		return refuse(job, "this build has no recorder to be put into it", error);
	if (start->settings_bytes > sizeof(job->parameters.settings))
		return refuse(job, "its settings are too long", 0);
	error = vmt_target_open(&job->target, start->pid);
	if (error < 0)
		return refuse(job, "its memory can't be written", error);
	error = vmt_tracee_read_registers(start->pid, &job->registers);
	if (error == 0) /* the number of arguments, and the first of them */
		error = vmt_target_read(&job->target, job->registers.user.rsp + sizeof(uint64_t),
					&job->parameters.invoked, sizeof(uint64_t));
	if (error == 0)
		error = vmt_tracee_read_mask(start->pid, &job->mask);
	return error == 0 || refuse(job, "it can't be traced", error);
}

/* Of settings that stand twice the last one holds. */
static bool
leaves_malloc(const struct vmt_static_start *start)
{
	static const char variable[] = "VMTRACE_MALLOC=";
	static const char off[] = "VMTRACE_MALLOC=off";
	const char *end = start->settings + start->settings_bytes;
	bool leaves = false;

	for (const char *at = start->settings; at < end && *at;
	     at += vmt_text_string_bytes(at) + 1) {
		struct vmt_text setting = vmt_text_of(at, vmt_text_string_bytes(at));

		if (vmt_text_equals(&setting, off))
			leaves = true;
		else if (vmt_text_skip_string(&setting, variable) && setting.at != setting.end)
			leaves = false;
	}
	return leaves;
}

/* Where it makes calls that the recorder can see: without such there is nothing to be recorded. */
static bool
find_sites(struct job *job)
{
	char path[32];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));
	struct vmt_cut_cache *cache = job->start->cache;
	struct vmt_cut_search search = {.target = &job->target,
					.program_headers = job->parameters.program_headers,
					.is_unrun = true};
	int error;

	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, (uint64_t)job->start->pid);
	vmt_text_put(&out, "/exe");
	search.file = vmt_sys_open(path, O_RDONLY, 0);
	error = cache ? vmt_cut_cache_search(cache, &job->cuts, &search)
		      : vmt_cut_search_run(&job->cuts, &search);
	if (search.file >= 0)
		vmt_sys_close(search.file);
	if (error < 0)
		return refuse(job, "its code can't be read", error);
	if (leaves_malloc(job->start))
		job->cuts.heap = (struct vmt_heap_hooks){.count = 0};
	return vmt_program_cuts_possible(&job->cuts) != 0 ||
	       refuse(job, "no memory call was found in its code", 0);
}

bool
vmt_static_start_run(struct vmt_static_start *start)
{
	static VMT_ROOMY struct job job;
	bool done;

	job = (struct job){.start = start, .target = {.mem_fd = -1}};
	start->signal = 0;
	start->why[0] = '\0';
	done = prepare(&job) && read_auxv(&job) && find_sites(&job) && put_blob(&job) &&
	       run_blob(&job);
	(void)vmt_tracee_ask(VMT_PTRACE_SETOPTIONS, start->pid, 0, 0);
	vmt_target_close(&job.target);
	vmt_program_cuts_close(&job.cuts);
	return done;
}
