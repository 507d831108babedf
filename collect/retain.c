#include "collect/retain.h"

#include "collect/compact.h"
#include "collect/outside_trace.h"
#include "collect/sys.h"
#include "collect/ticks.h"

#include <string.h>
#include <sys/stat.h>

static void
tell(const struct vmt_shared *shared, uint32_t pid, const char *path)
{
	vmt_atomic_add_relaxed(&shared->session->dropped, 1);
	if (shared->host->dropped)
		shared->host->dropped(shared->host->context, pid, path);
}

static bool
held_nothing(const struct vmt_traced *process, enum vmt_end end)
{
	uint64_t lived_ns = vmt_ticks_monotonic_ns() - process->layout.clock_start.monotonic_ns;

	return (process->layout.notes & VMT_NOTE_FORKED) && process->drain.deeds == 0 &&
	       end != VMT_END_STOPPED && lived_ns < VMT_RETAIN_BRIEF_NS;
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

static bool
find_file(const char *path, struct vmt_retained *found)
{
	struct stat status;

	if (vmt_sys_call4(SYS_newfstatat, AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	found->device = status.st_dev;
	found->inode = status.st_ino;
	return true;
}

static void
remember(const struct vmt_traced *process, struct vmt_shared *shared)
{
	struct vmt_retained fresh = {.peak_rss_bytes = peak_of(process), .pid = process->pid};
	size_t used = shared->retained_count * sizeof(fresh);

	memcpy(fresh.path, process->path, sizeof(fresh.path));
	if (!find_file(fresh.path, &fresh) ||
	    !vmt_buffer_reserve(&shared->retained, used + sizeof(fresh)))
		return;
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
	struct vmt_retained now;

	if (!smallest)
		return;
	if (find_file(smallest->path, &now) && now.device == smallest->device &&
	    now.inode == smallest->inode &&
	    vmt_sys_call3(SYS_unlinkat, AT_FDCWD, smallest->path, 0) == 0)
		tell(shared, smallest->pid, smallest->path);
	memmove(smallest, smallest + 1,
		(size_t)((unsigned char *)(all + shared->retained_count) -
			 (unsigned char *)(smallest + 1)));
	shared->retained_count--;
}

void
vmt_retain_decide(const struct vmt_traced *process, struct vmt_shared *shared, enum vmt_end end)
{
	if (process->unnamed) {
		vmt_outside_trace_discard(process);
		return;
	}
	/* It may still be running, in another pid namespace. */
	if (process->state == VMT_PROCESS_UNSEEN)
		return;
	if ((held_nothing(process, end) || is_too_small(process, shared)) &&
	    vmt_compact_is_named(process) &&
	    vmt_sys_call3(SYS_unlinkat, AT_FDCWD, process->path, 0) == 0) {
		tell(shared, process->pid, process->path);
		return;
	}
	if (!vmt_compact(process, shared->residency_scratch, VMT_RESIDENCY_SCRATCH_BYTES) &&
	    !vmt_compact_is_named(process))
		return;
	if (shared->host->max_files == 0)
		return;
	remember(process, shared);
	if (shared->retained_count > shared->host->max_files)
		drop_smallest(shared);
}
