#include "capture/core/threads_inside.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/roomy.h"
#include "base/sys.h"

#include <errno.h>
#include <stddef.h>
#include <sys/uio.h>

#define ENTRIES 1024u /* power of two; thread ids in a row have places in a row */
#define PROBES 8u
#define PAUSE_NS 50000

/* linux/membarrier.h */
#define MEMBARRIER_PRIVATE_EXPEDITED (1 << 3)
#define MEMBARRIER_REGISTER_PRIVATE_EXPEDITED (1 << 4)

/* An owner of 0 is a free place. The word is taken over from threads that have ended. */
static VMT_ROOMY struct entry {
	uint64_t owner; /* thread id, generation << 32 */
	const uint32_t *depth;
} entries[ENTRIES];

static uint32_t distrusted;

static bool
has_ended(uint32_t thread_id)
{
	return vmt_sys_call3(SYS_tgkill, vmt_sys_call0(SYS_getpid), thread_id, 0) == -ESRCH;
}

/* Whether an entry can be had for a thread: nobody's, its own, an earlier owner's, of the dead. */
static bool
is_free(uint64_t owner, uint32_t thread_id, uint32_t generation)
{
	return owner == 0 || (uint32_t)owner == thread_id || owner >> 32 != generation ||
	       has_ended((uint32_t)owner);
}

/* A free place is not read before it is written: that would be two page faults. */
static bool
take(struct entry *entry, uint32_t thread_id, uint32_t generation)
{
	uint64_t mine = thread_id | (uint64_t)generation << 32;
	uint64_t owner = 0;

	return vmt_atomic_cas(&entry->owner, &owner, mine) ||
	       (is_free(owner, thread_id, generation) &&
		vmt_atomic_cas(&entry->owner, &owner, mine));
}

void
vmt_threads_inside_distrust(void)
{
	uint32_t trusted = 0;

	(void)vmt_atomic_cas(&distrusted, &trusted, 1);
	vmt_atomic_fence();
}

bool
vmt_threads_inside_is_distrusted(void)
{
	return vmt_atomic_load_acquire(&distrusted) != 0;
}

/* Until the place says where this thread's depth is, its earlier owner's is read: this thread then
 * has not looked at the state yet, and will see what the waiter stored before it read. */
void
vmt_threads_inside_add(uint32_t thread_id, uint32_t generation, const uint32_t *depth)
{
	vmt_assert(thread_id != 0 && depth != NULL);
	vmt_assert(generation != 0);
	for (uint32_t i = 0; i < PROBES; i++) {
		struct entry *entry = &entries[(thread_id + i) % ENTRIES];

		if (!take(entry, thread_id, generation))
			continue;
		vmt_atomic_store_relaxed(&entry->depth, depth);
		vmt_atomic_fence();
		return;
	}
	vmt_threads_inside_distrust();
}

/* Nobody else writes the place of a thread that lives. */
bool
vmt_threads_inside_has(uint32_t thread_id, uint32_t generation, const uint32_t *depth)
{
	uint64_t mine = thread_id | (uint64_t)generation << 32;

	for (uint32_t i = 0; i < PROBES; i++) {
		const struct entry *entry = &entries[(thread_id + i) % ENTRIES];

		if (vmt_atomic_load_relaxed(&entry->owner) == mine)
			return vmt_atomic_load_relaxed(&entry->depth) == depth;
	}
	return false;
}

/* 0 where the thread that it belonged to has gone. */
static uint32_t
read_depth(const uint32_t *depth)
{
	uint32_t copy = 1;
	struct iovec from = {(void *)(uintptr_t)depth, sizeof(copy)};
	struct iovec to = {&copy, sizeof(copy)};
	long result;

	if (!depth)
		return 1;
	result = vmt_sys_call6(SYS_process_vm_readv, vmt_sys_call0(SYS_getpid), (long)&to, 1,
			       (long)&from, 1, 0);
	if (result == -EFAULT)
		return 0;
	return result == (long)sizeof(copy) ? copy : 1;
}

static bool
is_inside(const struct entry *entry, uint32_t own_thread_id, uint32_t generation)
{
	uint64_t owner = vmt_atomic_load_acquire(&entry->owner);

	if (owner == 0 || owner >> 32 != generation || (uint32_t)owner == own_thread_id)
		return false;
	return read_depth(vmt_atomic_load_relaxed(&entry->depth)) != 0 &&
	       !has_ended((uint32_t)owner);
}

static bool
is_anybody_inside(uint32_t own_thread_id, uint32_t generation)
{
	for (uint32_t i = 0; i < ENTRIES; i++)
		if (is_inside(&entries[i], own_thread_id, generation))
			return true;
	return false;
}

static bool
put_barriers(void)
{
	return vmt_sys_call3(SYS_membarrier, MEMBARRIER_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
	       vmt_sys_call3(SYS_membarrier, MEMBARRIER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool
vmt_threads_inside_can_tell(void)
{
	static const uint32_t outside = 0;

	return vmt_atomic_load_acquire(&distrusted) == 0 && put_barriers() &&
	       read_depth(&outside) == 0;
}

bool
vmt_threads_inside_wait(uint32_t own_thread_id, uint32_t generation, const uint32_t *visitors,
			uint64_t limit_ns)
{
	const struct timespec pause = {0, PAUSE_NS};
	uint64_t turns = limit_ns / PAUSE_NS; /* a bound of its own: the clock may fail */
	uint64_t end_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + limit_ns;

	if (!put_barriers())
		return false;
	while (vmt_atomic_load_acquire(visitors) != 0 ||
	       is_anybody_inside(own_thread_id, generation)) {
		if (turns-- == 0 || vmt_sys_clock_ns(CLOCK_MONOTONIC) > end_ns)
			return false;
		vmt_sys_call2(SYS_nanosleep, &pause, NULL);
	}
	return vmt_atomic_load_acquire(&distrusted) == 0;
}
