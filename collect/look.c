#include "collect/look.h"

#include "base/pages.h"
#include "base/prealloc.h"
#include "base/text.h"
#include "base/ticks.h"
#include "collect/address_space.h"
#include "collect/outside_head.h"
#include "collect/process.h"
#include "collect/sampling.h"
#include "collect/shared.h"
#include "collect/tasks.h"
#include "collect/trace_clock.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define MAP_SLOTS 256u
#define LONGEST_SLEEP_NS UINT64_C(100000000)

/* Too large for a stack. */
struct look {
	const struct vmt_look_job *job;
	struct vmt_session session; /* of nobody: finishing a trace counts in it */
	struct vmt_shared shared;
	struct vmt_traced process;
	struct vmt_buffer threads;
};

static uint32_t
read_text(uint32_t pid, const char *name, char *text, size_t room)
{
	int fd = vmt_procfs_open(pid, name);
	long got;

	if (fd < 0)
		return 0;
	got = vmt_procfs_read(fd, text, room);
	vmt_sys_close(fd);
	return got > 0 ? (uint32_t)got : 0;
}

static void
read_exe(uint32_t pid, char exe[VMT_EXE_BYTES])
{
	char path[40];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));

	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, pid);
	vmt_text_put(&out, "/exe");
	(void)vmt_sys_call4(SYS_readlinkat, AT_FDCWD, path, exe, VMT_EXE_BYTES - 1);
}

/* Of the table that holds all of them. */
static uint64_t
modules_bytes(const struct vmt_look_job *job)
{
	uint64_t bytes = VMT_MODULE_FIRST_ID;

	for (size_t i = 0; i < job->module_count; i++)
		bytes += sizeof(struct vmt_module_record) + job->modules[i].path_bytes + 8;
	return (bytes + 7) & ~UINT64_C(7);
}

static void
describe(struct look *look, const struct vmt_procfs_stat *stat)
{
	struct vmt_head *head = &look->process.layout;
	uint32_t pid = look->job->pid;

	*head = (struct vmt_head){
	    .pid = pid,
	    .parent_pid = (uint32_t)stat->parent_pid,
	    .start_ticks = stat->start_ticks,
	    .random_id = vmt_outside_head_random_id(),
	    .start_unix_ns = vmt_sys_clock_ns(CLOCK_REALTIME),
	    .page_bytes = (uint32_t)vmt_page_bytes,
	    .clock = VMT_CLOCK_MONOTONIC,
	    .notes = look->job->goes_on ? VMT_NOTE_WATCHED : VMT_NOTE_SNAPSHOT,
	};
	if (look->job->go)
		head->go = *look->job->go;
	vmt_procfs_boot_id(head->boot_id);
	read_exe(pid, head->exe);
	head->cmdline_bytes = read_text(pid, "cmdline", head->cmdline, sizeof(head->cmdline));
	memcpy(head->name, stat->name, sizeof(head->name));
	(void)vmt_trace_clock_pair(head->clock, &head->clock_start);
	vmt_outside_head_lay_out(head, MAP_SLOTS, modules_bytes(look->job));
	look->process.random_id = head->random_id;
	look->process.start_ticks = head->start_ticks;
}

static int
make_trace(struct look *look)
{
	struct vmt_traced *process = &look->process;
	void *base = NULL;
	int result;

	process->trace_fd = (int)vmt_sys_call3(SYS_fcntl, look->job->trace_fd, F_DUPFD_CLOEXEC, 0);
	if (process->trace_fd < 0)
		return process->trace_fd;
	result = vmt_prealloc_map(process->trace_fd, process->layout.chunks_offset, &base);
	process->base = base;
	if (result == 0)
		memcpy(process->base, &process->layout, sizeof(process->layout));
	return result;
}

/* Those that are open stay the process's, whatever becomes of its number. */
static int
open_process(struct look *look, struct vmt_procfs_stat *stat)
{
	struct vmt_traced *process = &look->process;

	process->pid = look->job->pid;
	process->trace_fd = process->aside_fd = process->pidfd = process->stat_fd = -1;
	process->maps_fd = process->pagemap_fd = process->statm_fd = process->rollup_fd = -1;
	process->outside = process->unnamed = true;
	vmt_address_space_open(process, &look->shared);
	if (process->stat_fd < 0)
		return process->stat_fd == -ENOENT ? -ESRCH : process->stat_fd;
	if (!vmt_procfs_read_stat(process->stat_fd, stat) || stat->state == 'X')
		return -ESRCH;
	if (stat->state == 'Z')
		return -ENODATA;
	if (process->maps_fd < 0)
		return process->maps_fd == -ENOENT ? -ESRCH : process->maps_fd;
	return vmt_procfs_is_mapped(process->maps_fd) ? 0 : -ENODATA;
}

static void
write_event(struct look *look, const struct vmt_map_event *event)
{
	struct vmt_traced *process = &look->process;
	struct vmt_ring_view ring = vmt_head_ring(&process->layout, process->base, 0, VMT_RING_MAP);
	uint64_t position;
	struct vmt_map_event *slot = vmt_ring_claim(&ring, &position);
	uint32_t sequence;

	if (!slot) {
		vmt_process_attend(process, &look->shared, vmt_ticks_monotonic_ns());
		slot = vmt_ring_claim(&ring, &position);
	}
	if (!slot) /* the ring has counted it */
		return;
	sequence = slot->sequence;
	*slot = *event;
	slot->sequence = sequence;
	slot->time = vmt_trace_clock_now(process->layout.clock);
	(void)vmt_ring_commit(&ring, position);
}

/* So that static memory is told, and names are found in the files. */
static void
write_module(struct look *look, const struct vmt_module *module)
{
	struct vmt_head *head = vmt_process_head(&look->process);
	uint32_t id = vmt_module_table_intern(
	    look->process.base + look->process.layout.modules_offset,
	    look->process.layout.modules_bytes, &head->modules_used, module);

	if (id)
		write_event(look, &(struct vmt_map_event){.kind = VMT_EVENT_MODULE_LOAD,
							  .address = module->low,
							  .length = module->high - module->low,
							  .argument_a = module->bias,
							  .argument_b = id,
							  .thread = look->job->pid});
}

/* The first thread has the kernel's stack. Who has no such list, has none that is known. */
static void
write_thread(struct look *look, uint32_t tid)
{
	uint64_t list = 0, list_bytes = 0;

	if (tid == look->job->pid ||
	    vmt_sys_call3(SYS_get_robust_list, tid, &list, &list_bytes) < 0 || list == 0)
		return;
	write_event(look, &(struct vmt_map_event){.kind = VMT_EVENT_THREAD,
						  .address = list,
						  .argument_a = list_bytes,
						  .argument_b = tid,
						  .flags = VMT_THREAD_PRESENT,
						  .thread = tid});
}

static void
write_threads(struct look *look)
{
	uint32_t count = 0;

	if (vmt_tasks_read(look->job->pid, &look->threads, &count) < 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		write_thread(look, ((const uint32_t *)(const void *)look->threads.bytes)[i]);
}

static void
write_what_is_there(struct look *look)
{
	for (size_t i = 0; i < look->job->module_count; i++)
		write_module(look, &look->job->modules[i]);
	write_threads(look);
}

/* False: the process ended or became another program meanwhile. */
static bool
take_snapshot(struct look *look)
{
	struct vmt_traced *process = &look->process;

	write_what_is_there(look);
	vmt_sampling_look(process, &look->shared, vmt_ticks_monotonic_ns(), VMT_SNAPSHOT_REQUEST);
	/* What RSS has become by the end of the look. */
	vmt_sampling_read(process, &look->shared, vmt_ticks_monotonic_ns());
	return process->sampling.snapshots == 1 && vmt_address_space_is_there(process);
}

/* Until the process is due again. A signal ends it early. */
static void
sleep_until(uint64_t due_ns)
{
	uint64_t now_ns = vmt_ticks_monotonic_ns();
	uint64_t sleep_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	struct timespec time;

	if (sleep_ns > LONGEST_SLEEP_NS)
		sleep_ns = LONGEST_SLEEP_NS;
	time = (struct timespec){0, (long)sleep_ns};
	vmt_sys_call2(SYS_nanosleep, &time, 0);
}

/* False: nothing was seen of it. */
static bool
watch(struct look *look)
{
	struct vmt_traced *process = &look->process;

	write_what_is_there(look);
	while (look->job->goes_on(look->job->context)) {
		vmt_process_visit(process, &look->shared, vmt_ticks_monotonic_ns(), false);
		if (process->state != VMT_PROCESS_LIVE)
			return true;
		sleep_until(process->visit_ns);
	}
	vmt_sampling_look(process, &look->shared, vmt_ticks_monotonic_ns(), VMT_SNAPSHOT_REQUEST);
	return process->sampling.snapshots > 0;
}

static void
finish(struct look *look)
{
	const struct vmt_exit_status done = {
	    VMT_END_STOPPED, look->job->goes_on ? VMT_STOP_DETACHED : VMT_STOP_SNAPSHOT};
	struct vmt_head *head = vmt_process_head(&look->process);

	head->end_status = done.status;
	vmt_atomic_store_release(&head->end, (uint32_t)done.end);
	vmt_process_finish(&look->process, &look->shared, done);
}

static int
take(struct look *look)
{
	struct vmt_procfs_stat stat;
	int result = open_process(look, &stat);
	bool taken = false;

	if (result == 0) {
		describe(look, &stat);
		result = make_trace(look);
	}
	if (result < 0) {
		vmt_process_abandon(&look->process);
		return result;
	}
	look->shared.is_tree = true; /* it may share pages with anybody */
	look->process.sampling.searched = true;
	vmt_process_begin(&look->process, &look->shared);
	if (look->process.state == VMT_PROCESS_LIVE)
		taken = look->job->goes_on ? watch(look) : take_snapshot(look);
	if (look->process.state == VMT_PROCESS_LIVE) /* else its own end is written already */
		finish(look);
	return taken ? 0 : -ESRCH;
}

int
vmt_look_take(const struct vmt_look_job *job)
{
	struct look *look = vmt_sys_mmap(NULL, sizeof(*look), PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int result;

	if (vmt_sys_failed(look))
		return (int)(intptr_t)look;
	look->job = job;
	result = vmt_shared_begin(&look->shared, job->host, &look->session);
	if (result == 0)
		result = take(look);
	vmt_buffer_free(&look->threads);
	vmt_shared_end(&look->shared);
	vmt_sys_munmap(look, sizeof(*look));
	return result;
}
