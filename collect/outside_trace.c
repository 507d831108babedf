#include "collect/outside_trace.h"

#include "base/assert.h"
#include "base/prealloc.h"
#include "base/text.h"
#include "base/ticks.h"
#include "collect/address_space.h"
#include "collect/hidden_file.h"
#include "collect/initial_events.h"
#include "collect/outside_head.h"
#include "collect/outside_modules.h"
#include "collect/process.h"
#include "collect/retain.h"
#include "collect/trace_clock.h"
#include "collect/untraced_notes.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_NAMES 1000u
#define MAP_SLOTS 1024u
#define EXTENSION ".vmt"
/* Most of those that call a hook do so sooner, and then have one trace alone. */
#define OWN_NS UINT64_C(100000000)

static const char *
base_name(const char *path)
{
	const char *slash = path;

	for (const char *at = path; *at; at++)
		if (*at == '/')
			slash = at + 1;
	return slash;
}

static bool
is_digit(char character)
{
	return character >= '0' && character <= '9';
}

/* The last place in a name where a pid stands by itself; NULL: nowhere. */
static const char *
find_pid(const char *name, const char *pid, size_t pid_bytes)
{
	const char *found = NULL;

	for (const char *at = name; *at; at++)
		if (strnlen(at, pid_bytes) == pid_bytes && memcmp(at, pid, pid_bytes) == 0 &&
		    !is_digit(at[pid_bytes]) && (at == name || !is_digit(at[-1])))
			found = at;
	return found;
}

static size_t
stem_bytes(const char *path)
{
	const size_t extension = sizeof(EXTENSION) - 1;
	size_t bytes = strlen(path);

	if (bytes > extension && memcmp(path + bytes - extension, EXTENSION, extension) == 0)
		return bytes - extension;
	return bytes;
}

/* The name that the child itself would give its trace: its parent's with another pid, or with its
 * pid at the end. */
static bool
put_path(struct vmt_traced *process, const struct vmt_traced *parent)
{
	struct vmt_text_out out = vmt_text_out_begin(process->path, sizeof(process->path));
	char digits[24];
	struct vmt_text_out number = vmt_text_out_begin(digits, sizeof(digits));
	const char *name = base_name(parent->path);
	const char *place;

	vmt_text_put_decimal(&number, parent->pid);
	place = find_pid(name, digits, strlen(digits));
	if (place) {
		vmt_text_put_bytes(&out, parent->path, (size_t)(place - parent->path));
		vmt_text_put_decimal(&out, process->pid);
		vmt_text_put(&out, place + strlen(digits));
	} else {
		vmt_text_put_bytes(&out, parent->path, stem_bytes(parent->path));
		vmt_text_put(&out, ".");
		vmt_text_put_decimal(&out, process->pid);
		vmt_text_put(&out, EXTENSION);
	}
	return !out.overflow;
}

static int
make_file(struct vmt_traced *process)
{
	char path[VMT_SESSION_PATH_BYTES];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));
	int fd;

	vmt_text_put_bytes(&out, process->path, (size_t)(base_name(process->path) - process->path));
	fd = vmt_sys_open(path, O_RDWR | O_TMPFILE, 0600);
	if (fd >= 0 || fd == -EMFILE || fd == -ENFILE)
		return fd;
	if (!vmt_hidden_file_path(process, path, sizeof(path)))
		return -ENAMETOOLONG;
	process->hidden = true;
	return vmt_sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

static void
describe(struct vmt_traced *process, const struct vmt_traced *parent,
	 const struct vmt_procfs_stat *stat)
{
	const struct vmt_head *from = &parent->layout;
	struct vmt_head *head = &process->layout;

	*head = (struct vmt_head){
	    .pid = process->pid,
	    .parent_pid = (uint32_t)stat->parent_pid,
	    .start_ticks = stat->start_ticks,
	    .random_id = process->random_id,
	    .forked_from = from->random_id,
	    .start_unix_ns = vmt_sys_clock_ns(CLOCK_REALTIME),
	    .cmdline_bytes = from->cmdline_bytes,
	    .page_bytes = from->page_bytes,
	    .clock = from->clock,
	    .tracer_address = from->tracer_address,
	    .notes = VMT_NOTE_FORKED | VMT_NOTE_OUTSIDE | (from->notes & VMT_NOTE_OWN_MALLOC),
	};
	memcpy(head->boot_id, from->boot_id, sizeof(head->boot_id));
	memcpy(head->exe, from->exe, sizeof(head->exe));
	memcpy(head->cmdline, from->cmdline, sizeof(head->cmdline));
	memcpy(head->name, stat->name, sizeof(head->name));
	(void)vmt_trace_clock_pair(head->clock, &head->clock_start);
	vmt_outside_head_lay_out(head, MAP_SLOTS, vmt_outside_modules_bytes(parent));
}

/* A file that nobody else maps. */
static int
make_trace(struct vmt_traced *process)
{
	struct stat status = {.st_ino = 0};
	void *base = NULL;
	int result;

	process->trace_fd = make_file(process);
	if (process->trace_fd < 0)
		return process->trace_fd;
	result = vmt_prealloc_map(process->trace_fd, process->layout.chunks_offset, &base);
	if (result == 0)
		result = (int)vmt_sys_call2(SYS_fstat, process->trace_fd, &status);
	process->base = base;
	if (result < 0)
		return result;
	process->device = status.st_dev;
	process->inode = status.st_ino;
	memcpy(process->base, &process->layout, sizeof(process->layout));
	return 0;
}

/* Where the events of what was inherited go. */
struct writing {
	struct vmt_traced *process;
	struct vmt_shared *shared;
	struct vmt_ring_view ring;
};

struct inherited {
	struct vmt_initial_events maps;
	const struct vmt_traced *process;
	uint64_t last_module; /* its id; 0: none yet */
	uint64_t trace_inode;
	uint32_t trace_device;
};

static bool
write_event(void *context, struct vmt_map_event *event)
{
	struct writing *writing = context;
	uint64_t position;
	struct vmt_map_event *slot = vmt_ring_claim(&writing->ring, &position);

	vmt_assert(event->kind == VMT_EVENT_PRESENT || event->kind == VMT_EVENT_MODULE_LOAD);
	if (!slot) {
		vmt_process_attend(writing->process, writing->shared, vmt_ticks_monotonic_ns());
		slot = vmt_ring_claim(&writing->ring, &position);
	}
	if (!slot)
		return false;
	event->sequence = slot->sequence;
	event->time = vmt_trace_clock_now(writing->process->layout.clock);
	event->thread = writing->process->pid;
	*slot = *event;
	return vmt_ring_commit(&writing->ring, position);
}

/* A module may have several mappings of code, one after the other. */
static bool
write_module(struct inherited *inherited, const struct vmt_mapping *mapping)
{
	struct vmt_map_event event;

	if (!vmt_outside_modules_find(inherited->process, mapping, &event) ||
	    event.argument_b == inherited->last_module)
		return true;
	inherited->last_module = event.argument_b;
	return inherited->maps.write(inherited->maps.context, &event);
}

/* The parent's trace, which a fork child keeps mapped, is the tracer's as well. */
static bool
visit_mapping(void *context, const struct vmt_mapping *mapping)
{
	struct inherited *inherited = context;

	if (mapping->shared && mapping->inode == inherited->trace_inode &&
	    mapping->device == inherited->trace_device)
		return vmt_initial_events_write_own(&inherited->maps, mapping->start, mapping->end);
	return write_module(inherited, mapping) &&
	       vmt_initial_events_visit(&inherited->maps, mapping);
}

static void
write_initial_maps(struct vmt_traced *process, struct vmt_shared *shared,
		   const struct vmt_traced *parent)
{
	struct writing writing = {process, shared,
				  vmt_head_ring(&process->layout, process->base, 0, VMT_RING_MAP)};
	struct inherited inherited = {.maps = {.own = parent->drain.own,
					       .own_count = parent->drain.own_count,
					       .write = write_event,
					       .context = &writing},
				      .process = process,
				      .trace_inode = parent->inode};
	char buffer[VMT_PROCFS_LINE_BYTES];

	if (!vmt_address_space_device(parent, &inherited.trace_device))
		inherited.trace_inode = 0; /* of no file */
	vmt_sys_call3(SYS_lseek, process->maps_fd, 0, SEEK_SET);
	(void)vmt_procfs_walk_maps(process->maps_fd, buffer, sizeof(buffer), visit_mapping,
				   &inherited);
	if (inherited.maps.cut)
		vmt_atomic_or_relaxed(&vmt_process_head(process)->notes, VMT_NOTE_PRESENT_CUT);
}

/* An exec moves the stack to another place for the most part: most children need no further look.
 * Without leave to trace, a name is all that is told. */
static int
compare_image(const struct vmt_procfs_stat *stat, const struct vmt_traced *parent)
{
	bool ended = stat->state == 'Z' || stat->state == 'X';

	if (ended || stat->stack_start == 0 || parent->stack_start == 0) {
		if (memcmp(stat->name, parent->name, sizeof(stat->name)) != 0)
			return -ENOEXEC;
		return ended ? -ESRCH : 0;
	}
	return stat->stack_start == parent->stack_start ? 0 : -ENOEXEC;
}

int
vmt_outside_trace_ask(const struct vmt_traced *parent, uint32_t pid, uint64_t *start_ticks)
{
	struct vmt_procfs_stat stat;
	int fd = vmt_procfs_open(pid, "stat");
	int result;

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	result = vmt_procfs_read_stat(fd, &stat) ? compare_image(&stat, parent) : -ESRCH;
	vmt_sys_close(fd);
	*start_ticks = stat.start_ticks;
	return result;
}

/* The same by descriptors that stay the process's, and by what is mapped. */
static int
look(struct vmt_traced *process, struct vmt_shared *shared, const struct vmt_traced *parent,
     struct vmt_procfs_stat *stat)
{
	int result;

	vmt_address_space_open(process, shared);
	if (process->stat_fd < 0)
		return process->stat_fd == -ENOENT ? -ESRCH : process->stat_fd;
	result =
	    vmt_procfs_read_stat(process->stat_fd, stat) ? compare_image(stat, parent) : -ESRCH;
	if (result < 0)
		return result;
	if (process->maps_fd < 0)
		return process->maps_fd == -ENOENT ? -ESRCH : process->maps_fd;
	if (process->rollup_fd == -EMFILE || process->rollup_fd == -ENFILE)
		return process->rollup_fd;
	process->start_ticks = stat->start_ticks;
	process->random_id = vmt_outside_head_random_id();
	if (!vmt_address_space_has_trace_of(process, parent))
		return vmt_procfs_is_mapped(process->maps_fd) ? -ENOEXEC : -ESRCH;
	return put_path(process, parent) ? 0 : -ENAMETOOLONG;
}

int
vmt_outside_trace_open(struct vmt_traced *process, struct vmt_shared *shared,
		       const struct vmt_traced *parent, uint32_t pid)
{
	struct vmt_procfs_stat stat;
	int result;

	vmt_assert(process->state == VMT_PROCESS_NONE);
	vmt_traced_clear(process);
	process->pid = pid;
	process->trace_fd = process->aside_fd = process->pidfd = process->stat_fd = -1;
	process->maps_fd = process->pagemap_fd = process->statm_fd = process->rollup_fd = -1;
	process->outside = process->unnamed = true;
	result = look(process, shared, parent, &stat);
	if (result == 0) {
		describe(process, parent, &stat);
		result = make_trace(process);
	}
	if (result < 0) {
		vmt_hidden_file_remove(process);
		vmt_process_abandon(process);
		return result;
	}
	vmt_outside_modules_take_over(process, parent);
	vmt_process_begin(process, shared);
	if (process->state == VMT_PROCESS_LIVE)
		write_initial_maps(process, shared, parent);
	return 0;
}

/* The n-th try at a free name. */
static bool
put_name(const struct vmt_traced *process, char *path, size_t room, uint32_t attempt)
{
	struct vmt_text_out out = vmt_text_out_begin(path, room);

	if (attempt == 0) {
		vmt_text_put(&out, process->path);
		return !out.overflow;
	}
	vmt_text_put_bytes(&out, process->path, stem_bytes(process->path));
	vmt_text_put(&out, ".");
	vmt_text_put_decimal(&out, attempt);
	vmt_text_put(&out, EXTENSION);
	return !out.overflow;
}

/* Gives the file a name that no other has. */
static long
link_file(const struct vmt_traced *process, char *path, size_t room)
{
	char from[40];
	struct vmt_text_out out = vmt_text_out_begin(from, sizeof(from));
	long result = -EEXIST;

	vmt_text_put(&out, "/proc/self/fd/");
	vmt_text_put_decimal(&out, (uint64_t)process->trace_fd);
	for (uint32_t attempt = 0; result == -EEXIST && attempt < MAX_NAMES; attempt++) {
		if (!put_name(process, path, room, attempt))
			return -ENAMETOOLONG;
		result = vmt_sys_call6(SYS_linkat, AT_FDCWD, (long)from, AT_FDCWD, (long)path,
				       AT_SYMLINK_FOLLOW, 0);
	}
	return result;
}

void
vmt_outside_trace_publish(struct vmt_traced *process, const struct vmt_shared *shared)
{
	char path[VMT_SESSION_PATH_BYTES];
	uint64_t lived_ns = vmt_ticks_monotonic_ns() - process->layout.clock_start.monotonic_ns;
	uint64_t wait_ns = vmt_untraced_notes_has_own(process) ? OWN_NS : VMT_RETAIN_BRIEF_NS;

	vmt_assert(process->outside || !process->unnamed);
	if (!process->unnamed || lived_ns < wait_ns || link_file(process, path, sizeof(path)) < 0)
		return;
	vmt_hidden_file_remove(process);
	process->hidden = process->unnamed = false;
	memcpy(process->path, path, sizeof(process->path));
	if (shared->host->announce)
		shared->host->announce(shared->host->context, process->pid, process->path);
}

void
vmt_outside_trace_hand_over(struct vmt_traced *process, struct vmt_shared *shared)
{
	static const struct vmt_exit_status own = {VMT_END_STOPPED, VMT_STOP_OWN_TRACE};
	struct vmt_head *head = vmt_process_head(process);

	vmt_assert(process->outside);
	head->end_status = own.status;
	vmt_atomic_store_release(&head->end, (uint32_t)own.end);
	vmt_process_finish(process, shared, own);
}
