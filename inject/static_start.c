#include "inject/static_start.h"

#include "base/buffer.h"
#include "base/procfs.h"
#include "base/roomy.h"
#include "base/text.h"
#include "blob/blob_parameters.h"
#include "inject/blob_image.h"
#include "inject/program_cuts.h"
#include "inject/remote_call.h"
#include "inject/target_memory.h"
#include "inject/tracee.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define AUXV_ENTRIES 64u
#define HWCAP2_FSGSBASE 2u	     /* arch/x86/include/uapi/asm/hwcap2.h */
#define RUN_NS UINT64_C(10000000000) /* a file is made, on whatever file system */
#define OTHER_STOPS 64u
#define EXITKILL (UINT32_C(1) << 20) /* PTRACE_O_EXITKILL */

struct job {
	struct vmt_static_start *start;
	struct vmt_target target;
	struct vmt_remote remote;
	struct vmt_blob_image image;
	struct vmt_blob_parameters parameters;
	struct vmt_buffer bytes;
	struct vmt_program_cuts cuts;
	struct vmt_registers registers; /* at the stop */
	uint64_t mask;
	uint64_t address; /* of the blob; 0: not mapped */
};

static bool
refuse(struct job *job, const char *what, int error)
{
	struct vmt_text_out out = vmt_text_out_begin(job->start->why, sizeof(job->start->why));

	vmt_text_put(&out, what);
	if (error != 0) {
		vmt_text_put(&out, " (error ");
		vmt_text_put_decimal(&out, (uint64_t)-error);
		vmt_text_put(&out, ")");
	}
	return false;
}

static bool
read_auxv(struct job *job)
{
	uint64_t entries[2 * AUXV_ENTRIES] = {0};
	int fd = vmt_procfs_open((uint32_t)job->start->pid, "auxv");
	long bytes = fd < 0 ? fd : vmt_procfs_read(fd, (char *)entries, sizeof(entries));

	if (fd >= 0)
		vmt_sys_close(fd);
	if (bytes < 0)
		return refuse(job, "/proc does not show how it starts", (int)bytes);
	for (uint32_t i = 0; i + 1 < (uint64_t)bytes / 8; i += 2) {
		if (entries[i] == AT_PHDR)
			job->parameters.program_headers = entries[i + 1];
		else if (entries[i] == AT_PAGESZ)
			job->parameters.page_bytes = (uint32_t)entries[i + 1];
		else if (entries[i] == AT_EXECFN)
			job->parameters.executed = entries[i + 1];
		else if (entries[i] == AT_HWCAP2)
			job->parameters.reads_thread_base = (entries[i + 1] & HWCAP2_FSGSBASE) != 0;
		else if (entries[i] == AT_SECURE && entries[i + 1] != 0)
			return refuse(job, "the program runs with raised privileges", 0);
		else if (entries[i] == AT_BASE && entries[i + 1] != 0)
			return refuse(job, "a dynamic loader loads it", 0);
	}
	return job->parameters.page_bytes != 0 ||
	       refuse(job, "/proc does not show how it starts", 0);
}

/* An mmap in the program. 0 or a negative errno. */
static int
map(struct job *job, uint64_t *address, uint64_t bytes, int protection, int flags)
{
	uint64_t words[6] = {*address, bytes, (uint64_t)protection, (uint64_t)flags, UINT64_MAX, 0};
	int64_t result;
	int error = vmt_remote_call(&job->remote, SYS_mmap, words, &result);

	if (error < 0)
		return error;
	if (vmt_sys_is_error(result))
		return (int)result;
	*address = (uint64_t)result;
	return 0;
}

static void
unmap(struct job *job)
{
	uint64_t words[6] = {job->address, job->image.bytes};
	int64_t result;

	if (job->address != 0)
		(void)vmt_remote_call(&job->remote, SYS_munmap, words, &result);
	job->address = 0;
	vmt_program_cuts_unmap(&job->cuts, &job->remote);
}

/* Text is executable from the beginning, and written from outside alone. */
static int
map_blob(struct job *job)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint64_t writable;
	int error = map(job, &job->address, job->image.bytes, PROT_READ | PROT_EXEC, flags);

	if (error < 0)
		return error;
	writable = job->address + job->image.writable;
	return map(job, &writable, job->image.bytes - job->image.writable, PROT_READ | PROT_WRITE,
		   flags | MAP_FIXED);
}

static int
write_blob(struct job *job)
{
	struct vmt_blob_parameters *parameters = &job->parameters;
	int error;

	if (!vmt_buffer_reserve(&job->bytes, job->image.filled))
		return -ENOMEM;
	vmt_blob_image_place(&job->image, job->address, job->bytes.bytes);
	error = vmt_target_write(&job->target, job->address, job->bytes.bytes, job->image.filled);
	if (error < 0)
		return error;
	parameters->starts = 1;
	parameters->resume_pc = job->registers.user.rip;
	parameters->resume_sp = job->registers.user.rsp;
	parameters->resume_mask = job->mask;
	parameters->calls_unseen =
	    (uint32_t)vmt_program_cuts_impossible(&job->cuts, &parameters->calls_unseen_at);
	parameters->heap_functions = job->cuts.heap.led;
	parameters->heap_unseen = job->cuts.heap.count - job->cuts.heap.led;
	parameters->heap_is_glibc = job->cuts.heap.is_glibc;
	parameters->heap_unseen_at = job->cuts.heap.unled_at;
	parameters->low = job->address;
	parameters->high = job->address + job->image.bytes;
	parameters->stubs = job->cuts.stubs;
	parameters->stubs_bytes = job->cuts.stubs_bytes;
	parameters->frame_index = job->cuts.index;
	parameters->frame_index_bytes = vmt_frame_index_bytes(&job->cuts.frames);
	parameters->frames_low = job->cuts.frames.frames_low;
	parameters->frames_high = job->cuts.frames.frames_high;
	memcpy(parameters->settings, job->start->settings, job->start->settings_bytes);
	return vmt_target_write(&job->target, job->address + job->image.parameters, parameters,
				sizeof(*parameters));
}

/* True: the blob is there, and has not run. Else nothing is. */
static bool
put_blob(struct job *job)
{
	int error = vmt_remote_begin(&job->remote, &job->target, job->start->pid, 0);

	if (error < 0)
		return refuse(job, "no call can be made in it", error);
	error = map_blob(job);
	for (uint32_t i = 0; i < VMT_HEAP_ENTRIES_COUNT; i++)
		job->cuts.handlers[i] = job->address + job->image.handlers[i];
	if (error == 0)
		error =
		    vmt_program_cuts_map(&job->cuts, &job->remote, job->address + job->image.entry);
	if (error == 0)
		error = write_blob(job);
	if (error < 0)
		unmap(job);
	if (vmt_remote_end(&job->remote) < 0)
		return refuse(job, "it could not be given back its registers", 0);
	return error == 0 || refuse(job, "the recorder could not be put into its memory", error);
}

static bool
has_answered(struct job *job)
{
	uint64_t answer = job->address + job->image.parameters;

	return vmt_target_read(&job->target, answer, &job->parameters, sizeof(job->parameters)) ==
		   0 &&
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

	for (uint32_t i = 0; i < OTHER_STOPS; i++) {
		if (vmt_tracee_ask(VMT_PTRACE_CONT, pid, 0, 0) < 0)
			return refuse(job, "it ended", 0);
		if (vmt_tracee_wait(pid, deadline_ns, &status) < 0) {
			vmt_sys_call3(SYS_tgkill, pid, pid, SIGSTOP);
			(void)vmt_tracee_wait(pid, deadline_ns + RUN_NS, &status);
			return refuse(job, "the recorder did not begin within 10 s", 0);
		}
		if (!WIFSTOPPED(status))
			return refuse(job, "it ended", 0);
		if (WSTOPSIG(status) == SIGURG && has_answered(job))
			return true;
		if (WSTOPSIG(status) == SIGSTOP)
			job->start->signal = SIGSTOP;
		else if (WSTOPSIG(status) != SIGURG)
			return refuse(job, "the recorder failed in it", -WSTOPSIG(status));
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

	registers.user.rip = job->address + job->image.start;
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
	int error = vmt_blob_image_read(&job->image, start->blob, start->blob_bytes);

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
	if (error == 0)
		error = (int)vmt_tracee_ask(VMT_PTRACE_SETOPTIONS, start->pid, 0, EXITKILL);
	return error == 0 || refuse(job, "it can't be traced", error);
}

/* Where it makes calls that the recorder can see: without such there is nothing to be recorded. */
static bool
find_sites(struct job *job)
{
	char path[32];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));
	int error;
	int file;

	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, (uint64_t)job->start->pid);
	vmt_text_put(&out, "/exe");
	file = vmt_sys_open(path, O_RDONLY, 0);
	error =
	    vmt_program_cuts_find(&job->cuts, &job->target, job->parameters.program_headers, file);
	if (file >= 0)
		vmt_sys_close(file);
	if (error < 0)
		return refuse(job, "its code can't be read", error);
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
	vmt_buffer_free(&job.bytes);
	vmt_program_cuts_close(&job.cuts);
	return done;
}
