#include "capture/record/madvise.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/pages.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "capture/record/around_own.h"
#include "capture/record/kernel_range.h"
#include "capture/record/own_release.h"
#include "capture/record/resident_probe.h"
#include "capture/stacks/stack_bounds.h"
#include "format/advice.h"
#include "format/event.h"

#include <errno.h>
#include <sys/ioctl.h>

/* Ranges of a vector that are looked at before the call; of more nobody knows what they had. */
#define LOOKED_RANGES 64u

/* include/uapi/linux/uio.h: UIO_MAXIOV; freestanding headers have no IOV_MAX. */
#define MOST_RANGES 1024u

/* include/uapi/linux/pidfd.h */
#define PIDFD_OWN_THREAD (-10000)
#define PIDFD_OWN_PROCESS (-20000)

/* struct pidfd_info of linux/pidfd.h, first version (Linux 6.13), and its request. */
struct process_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t pid;
	uint32_t tgid;
	uint32_t rest[10];
};
#define PIDFD_INFO_REQUEST _IOWR(0xff, 11, struct process_info)

/* What a range had before the call. */
struct before {
	uint64_t time;
	uint64_t committed_bytes;
	uint8_t marks;
};

struct range {
	uint64_t address;
	uint64_t length;
};

static uint16_t
number_of(int advice)
{
	return advice >= 0 && advice < (int)UINT16_MAX ? (uint16_t)advice : UINT16_MAX;
}

static bool
releases(int advice)
{
	return vmt_advice_releases(number_of(advice));
}

/* What MADV_PAGEOUT took is told by two looks that are exact. */
static struct vmt_resident_probe_budget
budget_of(int advice)
{
	return number_of(advice) == VMT_ADVICE_PAGEOUT ? VMT_RESIDENT_PROBE_LONG_BUDGET
						       : VMT_RESIDENT_PROBE_BUDGET;
}

static struct before
look_before(struct vmt_resident_probe_budget *budget, const struct range *range, int advice)
{
	struct before before = {0};

	if (!releases(advice)) /* it is stamped afterwards */
		return before;
	before.committed_bytes =
	    vmt_resident_probe_within(budget, range->address, range->length, &before.marks);
	before.time = vmt_emit_time_before();
	return before;
}

/* Whether only the page tables can tell what came back. */
static bool
is_open(int advice, int error)
{
	return error != 0 || number_of(advice) == VMT_ADVICE_PAGEOUT ||
	       !vmt_advice_name(number_of(advice));
}

/* What the range has after the call. A known advice that failed on a single page has left it as it
 * was. */
static uint64_t
look_after(const struct range *range, int advice, int error, const struct before *before,
	   uint8_t *marks)
{
	struct vmt_resident_probe_budget budget = budget_of(advice);

	*marks = VMT_MARK_LOOKED;
	if (error != 0 && range->length <= vmt_page_bytes && vmt_advice_name(number_of(advice)))
		return before->committed_bytes;
	return vmt_resident_probe_within(&budget, range->address, range->length, marks);
}

static void
write_event(const struct range *range, int advice, int error, const struct before *before,
	    uint32_t stack)
{
	uint8_t marks = 0;
	struct vmt_map_event event = {
	    .kind = VMT_EVENT_MADVISE,
	    .time = before->time,
	    .stack = stack,
	    .address = range->address,
	    .length = range->length,
	    .argument_a = before->committed_bytes,
	    .advice = number_of(advice),
	    .error = (int16_t)error,
	    .marks = before->marks,
	};

	if (before->marks == VMT_MARK_LOOKED && before->committed_bytes != 0 &&
	    is_open(advice, error)) {
		event.argument_b = look_after(range, advice, error, before, &marks);
		if (marks == VMT_MARK_LOOKED)
			event.marks |= VMT_MARK_LOOKED_AFTER;
	}
	if (!releases(advice))
		event.time = vmt_emit_time_after();
	vmt_emit_map(&event);
}

struct advised {
	int advice;
	uint32_t stack;
};

/* Of a range in which nothing is the tracer's, or advice that does it no harm. */
static long
advise_part(const void *call, uint64_t address, uint64_t length)
{
	const struct advised *advised = call;
	int advice = advised->advice;
	struct vmt_resident_probe_budget budget = budget_of(advice);
	struct range range = {.address = address};
	bool written = vmt_kernel_range_cut(address, length, &range.length);
	struct before before = {0};
	long result;

	if (written)
		before = look_before(&budget, &range, advice);
	result = vmt_sys_call3(SYS_madvise, address, length, advice);
	if (written)
		write_event(&range, advice, vmt_sys_is_error(result) ? (int)-result : 0, &before,
			    advised->stack);
	return result;
}

long
vmt_madvise_call(uint64_t address, uint64_t length, int advice, uint32_t stack)
{
	struct advised advised = {advice, stack};
	struct vmt_around_own around = {advise_part, &advised, true};

	if (number_of(advice) == VMT_ADVICE_GUARD_INSTALL)
		vmt_stack_bounds_forget(address, length);
	return vmt_around_own_harms(advice) ? vmt_around_own_make(&around, address, length)
					    : advise_part(&advised, address, length);
}

enum whose { OWN, ANOTHERS, NOT_KNOWN };

static enum whose
whose_process(int pidfd)
{
	struct process_info info = {.mask = 1};

	if (pidfd == PIDFD_OWN_THREAD || pidfd == PIDFD_OWN_PROCESS)
		return OWN;
	if (!vmt_guard_syscalls_allowed() ||
	    vmt_sys_call3(SYS_ioctl, pidfd, PIDFD_INFO_REQUEST, &info) < 0)
		return NOT_KNOWN;
	return info.tgid == (uint32_t)vmt_sys_call0(SYS_getpid) ? OWN : ANOTHERS;
}

/* The program's vector may point anywhere: the kernel reads it for us, where it will, and a bad one
 * is its to refuse, as is a range that it does not take. *bytes: as the program has it. */
static bool
read_range(const struct iovec *vector, size_t entry, struct range *range, uint64_t *bytes)
{
	struct iovec copy;
	struct iovec from = {(void *)((uintptr_t)vector + entry * sizeof(copy)), sizeof(copy)};
	struct iovec to = {&copy, sizeof(copy)};

	*bytes = 0;
	if (!vmt_guard_syscalls_allowed() ||
	    vmt_sys_call6(SYS_process_vm_readv, vmt_sys_call0(SYS_getpid), (long)&to, 1,
			  (long)&from, 1, 0) != (long)sizeof(copy))
		return false;
	range->address = (uint64_t)(uintptr_t)copy.iov_base;
	*bytes = copy.iov_len;
	return vmt_kernel_range_cut(range->address, copy.iov_len, &range->length);
}

/* The part of the range that was done, and what was not. */
static void
write_range(const struct range *range, uint64_t done_bytes, const struct before *before,
	    const struct vmt_madvise_vector *vector, uint32_t stack)
{
	struct range done = {.address = range->address, .length = done_bytes};
	struct range rest = {.address = range->address + done_bytes,
			     .length = range->length - done_bytes};
	struct before nothing = {.time = before->time};

	vmt_assert(done_bytes <= range->length);
	if (done.length)
		write_event(&done, vector->advice, 0, before, stack);
	if (rest.length)
		write_event(&rest, vector->advice, ECANCELED, done.length ? &nothing : before,
			    stack);
}

/* result: of the call; bytes that it got through, or an error, which is of all. */
static void
write_vector(const struct vmt_madvise_vector *vector, const struct before *before, long result,
	     uint32_t stack)
{
	uint64_t left = vmt_sys_is_error(result) ? 0 : (uint64_t)result;

	for (size_t i = 0; i < vector->entries; i++) {
		const struct before nothing = {.time = before[0].time};
		const struct before *mine = i < LOOKED_RANGES ? &before[i] : &nothing;
		struct range range;
		uint64_t bytes;

		if (!read_range(vector->ranges, i, &range, &bytes))
			continue;
		if (vmt_sys_is_error(result))
			write_event(&range, vector->advice, (int)-result, mine, stack);
		else
			write_range(&range,
				    left < bytes ? vmt_pages_down(left, vmt_page_bytes)
						 : range.length,
				    mine, vector, stack);
		left -= left < bytes ? left : bytes;
	}
}

static bool
meets_ours(const struct vmt_madvise_vector *vector)
{
	struct range range;
	uint64_t bytes;

	for (size_t i = 0; i < vector->entries; i++)
		if (read_range(vector->ranges, i, &range, &bytes) &&
		    vmt_own_release_meets(range.address, range.address + range.length))
			return true;
	return false;
}

static long
make_whole(const struct vmt_madvise_vector *vector, size_t entries)
{
	return vmt_sys_call6(SYS_process_madvise, vector->pidfd, (long)vector->ranges,
			     (long)entries, vector->advice, vector->flags, 0);
}

/* Range by range, as the kernel does it: bytes, or the first one's error. One without ranges says
 * whether it would take that advice at all. */
static long
make_around_ours(const struct vmt_madvise_vector *vector)
{
	long result = make_whole(vector, 0);
	long done = 0;

	for (size_t i = 0; i < vector->entries && result == 0; i++) {
		struct range range = {0, 0};
		uint64_t bytes;

		(void)read_range(vector->ranges, i, &range, &bytes);
		result = vmt_around_own_madvise(range.address, bytes, vector->advice);
		done += result == 0 ? (long)bytes : 0;
	}
	return done != 0 ? done : result;
}

static long
make_vector(const struct vmt_madvise_vector *vector, bool is_own)
{
	return is_own && vmt_around_own_harms(vector->advice) && meets_ours(vector)
		   ? make_around_ours(vector)
		   : make_whole(vector, vector->entries);
}

long
vmt_madvise_process(const struct vmt_madvise_vector *vector, uint32_t stack)
{
	struct vmt_resident_probe_budget budget = budget_of(vector->advice);
	struct before before[LOOKED_RANGES] = {{0}};
	enum whose whose = whose_process(vector->pidfd);
	bool written = vector->entries <= MOST_RANGES && whose == OWN;
	size_t looked = vector->entries < LOOKED_RANGES ? vector->entries : LOOKED_RANGES;
	long result;

	vmt_assert(looked <= LOOKED_RANGES);
	before[0].time = vmt_emit_time_before();
	for (size_t i = 0; written && i < looked; i++) {
		struct range range;
		uint64_t bytes;

		if (read_range(vector->ranges, i, &range, &bytes))
			before[i] = look_before(&budget, &range, vector->advice);
	}
	result = make_vector(vector, written);
	if (written)
		write_vector(vector, before, result, stack);
	else if (whose == NOT_KNOWN && result > 0 && releases(vector->advice))
		vmt_atomic_or_relaxed(&vmt_recording.head->notes, VMT_NOTE_VECTORS);
	return result;
}
