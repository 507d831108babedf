#include "capture/record/lock_all.h"

#include "base/pages.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/record/retreat.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

#define BUFFER_BYTES (2 * VMT_PROCFS_LINE_BYTES)
#define RANGES (VMT_OWN_MEMORY_RANGES + 4u)

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

struct walk {
	void (*visit)(struct walk *walk, uint64_t start, uint64_t end);
	unsigned lock_flags; /* of mlock2 */
	uint64_t bytes;	     /* of the program */
	uint32_t count;
	struct vmt_own_range ranges[RANGES]; /* the tracer's, mapped for good or for the walk */
};

static uint64_t
page_down(uint64_t address)
{
	return vmt_pages_down(address, vmt_page_bytes);
}

static void
add_range(struct walk *walk, const volatile void *start, uint64_t bytes)
{
	uint64_t first = page_down((uint64_t)(uintptr_t)start);
	uint64_t end = page_down((uint64_t)(uintptr_t)start + bytes + vmt_page_bytes - 1);

	if (bytes != 0)
		walk->ranges[walk->count++] = (struct vmt_own_range){first, end};
}

/* While the caller holds the trace, what is read here stays mapped. */
static void
find_ranges(struct walk *walk)
{
	const struct vmt_recording *process = &vmt_recording;
	uint32_t own = vmt_atomic_load_relaxed(&vmt_own_memory.count);

	walk->count = 0;
	add_range(walk, __ehdr_start, (uint64_t)((uintptr_t)_end - (uintptr_t)__ehdr_start));
	add_range(walk, process->head, process->head_mapped_bytes);
	add_range(walk, process->session, process->session ? sizeof(*process->session) : 0);
	for (uint32_t i = 0; i < own && i < VMT_OWN_MEMORY_RANGES; i++)
		add_range(walk, (const void *)(uintptr_t)vmt_own_memory.ranges[i].start,
			  vmt_own_memory.ranges[i].end - vmt_own_memory.ranges[i].start);
}

/* The kernel joins mappings that are alike: cuts the tracer's out. */
static bool
visit_mapping(void *context, const struct vmt_mapping *mapping)
{
	struct walk *walk = context;
	uint64_t start = mapping->start;

	if (mapping->path_bytes == sizeof("[vsyscall]") - 1 &&
	    memcmp(mapping->path, "[vsyscall]", mapping->path_bytes) == 0)
		return true;
	while (start < mapping->end) {
		uint64_t end = mapping->end;
		bool own = false;

		for (uint32_t i = 0; i < walk->count && !own; i++) {
			const struct vmt_own_range *range = &walk->ranges[i];

			own = start >= range->start && start < range->end;
			if (own)
				end = range->end;
			else if (range->start > start && range->start < end)
				end = range->start;
		}
		if (!own)
			walk->visit(walk, start, end);
		start = end;
	}
	return true;
}

/* False: there is no /proc, or no memory to read it with. */
static bool
walk_program(struct walk *walk)
{
	char *buffer = vmt_own_memory_map(BUFFER_BYTES);
	int fd = buffer ? vmt_procfs_open(0, "maps") : -1;
	int result = fd;

	if (fd >= 0) {
		find_ranges(walk);
		add_range(walk, buffer, BUFFER_BYTES);
		result = vmt_procfs_walk_maps(fd, buffer, BUFFER_BYTES, visit_mapping, walk);
		vmt_sys_close(fd);
	}
	if (buffer)
		vmt_sys_munmap(buffer, BUFFER_BYTES);
	return result >= 0;
}

static void
count(struct walk *walk, uint64_t start, uint64_t end)
{
	walk->bytes += end - start;
}

/* What cannot be made resident is locked all the same, as by mlockall. */
static void
lock(struct walk *walk, uint64_t start, uint64_t end)
{
	if (walk->lock_flags != 0)
		(void)vmt_sys_call3(SYS_mlock2, start, end - start, walk->lock_flags);
	else
		(void)vmt_sys_call2(SYS_mlock, start, end - start);
}

static void
unlock_own(void)
{
	struct walk walk;

	find_ranges(&walk);
	for (uint32_t i = 0; i < walk.count; i++)
		vmt_sys_call2(SYS_munlock, walk.ranges[i].start,
			      walk.ranges[i].end - walk.ranges[i].start);
}

/* Whether the limit would let the program lock all that is its own. */
static bool
is_within_limit(void)
{
	struct walk walk = {.visit = count};
	struct rlimit limit;

	return vmt_sys_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, NULL, &limit) == 0 &&
	       walk_program(&walk) && walk.bytes <= limit.rlim_cur;
}

static long
lock_program(int flags)
{
	struct walk walk = {.visit = lock, .lock_flags = flags & MCL_ONFAULT ? MLOCK_ONFAULT : 0};

	return walk_program(&walk) ? 0 : vmt_sys_call1(SYS_mlockall, flags);
}

/* All is locked, and nothing made resident: nor shall what is ours be. */
static long
finish_locked(int flags)
{
	unlock_own();
	if (flags & MCL_ONFAULT)
		return 0;
	if (flags & MCL_FUTURE)
		(void)vmt_sys_call1(SYS_mlockall, MCL_FUTURE);
	return lock_program(flags);
}

/* Refused, but for the tracer's sake alone. What comes next is locked first: nothing is missed. */
static long
lock_without_own(int flags)
{
	int future = flags & ~MCL_CURRENT;
	long result = 0;

	if (flags & MCL_FUTURE)
		result = vmt_sys_call1(SYS_mlockall, future);
	return result < 0 ? result : lock_program(flags);
}

static long
lock_apart(int flags)
{
	long result = vmt_sys_call1(SYS_mlockall, flags | MCL_ONFAULT);

	if (result == 0)
		return finish_locked(flags);
	if (result == -ENOMEM && is_within_limit())
		return lock_without_own(flags);
	return vmt_sys_call1(SYS_mlockall, flags);
}

long
vmt_lock_all(int flags)
{
	int known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
	bool apart = (flags & MCL_CURRENT) && !(flags & ~known);
	uint32_t outer;
	bool held;
	long result;

	if (flags & MCL_FUTURE)
		vmt_own_memory.locks_future = true; /* before the kernel does */
	if (!apart || !vmt_guard_syscalls_allowed())
		return vmt_sys_call1(SYS_mlockall, flags);
	/* Where nothing is recorded the library's own segments are left to be kept out. */
	held = vmt_guard_hold(&outer);
	if (!held)
		vmt_retreat_settle();
	result = lock_apart(flags);
	if (held)
		vmt_guard_let_go(outer);
	return result;
}

long
vmt_lock_all_undo(void)
{
	long result = vmt_sys_call0(SYS_munlockall);

	vmt_own_memory.locks_future = false;
	return result;
}
