#include "collect/retain.h"

#include "base/assert.h"
#include "base/sys.h"
#include "base/ticks.h"
#include "collect/attach_trace.h"
#include "collect/compact.h"
#include "collect/exit_status.h"
#include "collect/hidden_file.h"
#include "collect/holes.h"
#include "collect/trace_dir.h"

#include <string.h>

static void
tell_host(const struct vmt_shared *shared, uint32_t pid, const char *path)
{
	if (shared->host->dropped)
		shared->host->dropped(shared->host->context, pid, path);
}

static void
tell(const struct vmt_shared *shared, uint32_t pid, const char *path)
{
	vmt_atomic_add_relaxed(&shared->session->dropped, 1);
	tell_host(shared, pid, path);
}

static bool
held_nothing(const struct vmt_traced *process, enum vmt_end end)
{
	uint64_t lived_ns = vmt_ticks_monotonic_ns() - process->layout.clock_start.monotonic_ns;

	return (process->layout.notes & VMT_NOTE_FORKED) && process->drain.deeds == 0 &&
	       end != VMT_END_STOPPED && lived_ns < VMT_RETAIN_BRIEF_NS &&
	       !vmt_untraced_notes_has_own(process);
}

static uint64_t
peak_of(const struct vmt_traced *process)
{
	uint64_t seen = process->sampling.peak_rss_bytes;
	uint64_t said = process->drain.peak_rss_bytes;

	return seen > said ? seen : said;
}

/* By what the process itself said at its exit: one that was killed, or was never seen, said
 * nothing, and may have grown since the last reading. */
static bool
is_too_small(const struct vmt_traced *process, const struct vmt_shared *shared)
{
	return process->drain.peak_rss_bytes != 0 && peak_of(process) < shared->host->min_rss_bytes;
}

static void
remember(const struct vmt_traced *process, const struct vmt_trace_dir *dir,
	 struct vmt_shared *shared)
{
	struct vmt_retained fresh = {
	    .peak_rss_bytes = peak_of(process),
	    .record =
		vmt_untraced_notes_of(process, VMT_UNTRACED_REMOVED, vmt_ticks_monotonic_ns()),
	    .kin = {process->layout.forked_from, process->layout.parent_pid},
	    .pid = process->pid};
	size_t used = shared->retained_count * sizeof(fresh);
	struct stat status;

	memcpy(fresh.path, process->path, sizeof(fresh.path));
	if (vmt_trace_dir_stat(dir, dir->name, &status) < 0)
		return;
	fresh.device = status.st_dev;
	fresh.inode = status.st_ino;
	if (!vmt_buffer_reserve(&shared->retained, used + sizeof(fresh)))
		return;
	vmt_assert(used + sizeof(fresh) <= shared->retained.capacity);
	memcpy(shared->retained.bytes + used, &fresh, sizeof(fresh));
	shared->retained_count++;
}

/* NULL: none may go. Of equal ones, the earliest. */
static struct vmt_retained *
find_smallest(const struct vmt_shared *shared)
{
	struct vmt_retained *all = (void *)shared->retained.bytes;
	struct vmt_retained *smallest = NULL;

	for (uint32_t i = 0; i < shared->retained_count; i++) {
		if (all[i].pid == shared->host->first_pid)
			continue;
		if (!smallest || all[i].peak_rss_bytes < smallest->peak_rss_bytes)
			smallest = &all[i];
	}
	return smallest;
}

static void
drop_smallest(struct vmt_shared *shared)
{
	struct vmt_retained *all = (void *)shared->retained.bytes;
	struct vmt_retained *smallest = find_smallest(shared);
	struct vmt_trace_dir dir;

	vmt_assert(shared->retained_count >= shared->host->max_files);
	if (!smallest)
		return;
	if (vmt_trace_dir_open(&dir, smallest->path) == 0 &&
	    vmt_trace_dir_has(&dir, dir.name, smallest->device, smallest->inode) &&
	    vmt_trace_dir_remove(&dir, dir.name) == 0) {
		tell(shared, smallest->pid, smallest->path);
		vmt_untraced_notes_lost(shared, &smallest->record, &smallest->kin);
	}
	vmt_trace_dir_close(&dir);
	vmt_assert(smallest >= all && smallest < all + shared->retained_count);
	memmove(smallest, smallest + 1,
		(size_t)((unsigned char *)(all + shared->retained_count) -
			 (unsigned char *)(smallest + 1)));
	shared->retained_count--;
}

void
vmt_retain_make_room(const struct vmt_traced *process, struct vmt_shared *shared)
{
	uint32_t most = shared->host->max_files;
	const struct vmt_retained *smallest;

	if (most == 0 || shared->retained_count < most || process->unnamed)
		return;
	smallest = find_smallest(shared);
	if (smallest && (process->pid == shared->host->first_pid ||
			 smallest->peak_rss_bytes <= peak_of(process)))
		drop_smallest(shared);
}

/* Whether there is none any more: a fork child that did nothing may have removed it by itself, and
 * counted that. */
static bool
remove_file(const struct vmt_traced *process, const struct vmt_trace_dir *dir,
	    const struct vmt_shared *shared)
{
	struct stat status;

	if (vmt_compact_is_named(process, dir)) {
		if (vmt_trace_dir_remove(dir, dir->name) < 0)
			return false;
		tell(shared, process->pid, process->path);
		return true;
	}
	if (process->drain.deeds != 0 || vmt_trace_dir_stat(dir, dir->name, &status) == 0)
		return false;
	tell_host(shared, process->pid, process->path);
	return true;
}

static void
decide(const struct vmt_traced *process, const struct vmt_trace_dir *dir, struct vmt_shared *shared,
       enum vmt_end end)
{
	if ((held_nothing(process, end) || is_too_small(process, shared)) &&
	    remove_file(process, dir, shared)) {
		vmt_untraced_notes_process(shared, process, VMT_UNTRACED_REMOVED,
					   vmt_ticks_monotonic_ns());
		return;
	}
	if (!vmt_compact(process, dir, shared->residency_scratch, VMT_RESIDENCY_SCRATCH_BYTES)) {
		vmt_holes_punch_all(process);
		if (!vmt_compact_is_named(process, dir))
			return;
	}
	if (shared->host->max_files == 0)
		return;
	remember(process, dir, shared);
	if (shared->retained_count > shared->host->max_files)
		drop_smallest(shared);
}

/* One that can't be seen may still run, in another pid namespace; not where nobody else has its
 * trace open any more. */
static bool
may_run(const struct vmt_traced *process)
{
	return process->state == VMT_PROCESS_UNSEEN &&
	       !vmt_exit_status_is_sole_writer(vmt_attach_trace_head_fd(process));
}

void
vmt_retain_decide(const struct vmt_traced *process, struct vmt_shared *shared, enum vmt_end end)
{
	struct vmt_trace_dir dir;

	vmt_assert(process->state != VMT_PROCESS_NONE && !process->trace_closed);
	if (process->unnamed) {
		vmt_hidden_file_remove(process);
		if (end != VMT_END_STOPPED)
			vmt_untraced_notes_process(shared, process, VMT_UNTRACED_EARLY,
						   vmt_ticks_monotonic_ns());
		return;
	}
	if (may_run(process) || vmt_trace_dir_open(&dir, process->path) < 0) {
		vmt_holes_punch_all(process);
		return;
	}
	decide(process, &dir, shared, end);
	vmt_trace_dir_close(&dir);
}
