#include "capture/record/kernel_range.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/pages.h"
#include "base/sys.h"
#include "capture/core/guard.h"

#include <errno.h>
#include <sys/mman.h>

#define FIXED_NOREPLACE 0x100000 /* newer than the C library's headers may be */

/* Where the address space ends, with the usual page tables and with the largest. */
#if defined(__x86_64__)
#define USUAL_END ((UINT64_C(1) << 47) - vmt_page_bytes)
#define LARGEST_END ((UINT64_C(1) << 56) - vmt_page_bytes)
#define BEYOND_USUAL (UINT64_C(1) << 47)
#else
#define USUAL_END (UINT64_C(1) << 48)
#define LARGEST_END (UINT64_C(1) << 52)
#define BEYOND_USUAL USUAL_END
#endif

enum probing { PROBING_UNTRIED, PROBING_WORKS, PROBING_FAILS };

static uint8_t probing;	   /* enum probing */
static uint64_t space_end; /* 0: not asked yet */

/* -EEXIST: something lies in the range; -EINVAL: nothing does. */
static long
probe(uint64_t start, uint64_t length)
{
	long result = vmt_sys_call6(SYS_mmap, (long)start, (long)length, PROT_NONE,
				    MAP_ANONYMOUS | FIXED_NOREPLACE, -1, 0);

	if (result >= 0) { /* a kernel that maps something of no kind */
		vmt_sys_call2(SYS_munmap, result, length);
		vmt_atomic_store_relaxed(&probing, PROBING_FAILS);
		return -ENOSYS;
	}
	return result;
}

static bool
can_probe(void)
{
	uint64_t used = (uint64_t)(uintptr_t)&probing & ~(vmt_page_bytes - 1);

	if (!vmt_guard_syscalls_allowed())
		return false;
	if (vmt_atomic_load_relaxed(&probing) == PROBING_UNTRIED)
		vmt_atomic_store_relaxed(&probing, probe(used, vmt_page_bytes) == -EEXIST
						       ? PROBING_WORKS
						       : PROBING_FAILS);
	return vmt_atomic_load_relaxed(&probing) == PROBING_WORKS;
}

static uint64_t
end_slow(void)
{
	uint64_t end = vmt_atomic_load_relaxed(&space_end);

	if (end != 0)
		return end;
	end = LARGEST_END;
	if (can_probe() && probe(BEYOND_USUAL, vmt_page_bytes) == -ENOMEM)
		end = USUAL_END;
	vmt_atomic_store_relaxed(&space_end, end);
	return end;
}

bool
vmt_kernel_range_round(uint64_t length, uint64_t unit, uint64_t *rounded)
{
	bool wraps = __builtin_add_overflow(length, unit - 1, rounded);

	vmt_assert(unit != 0 && (unit & (unit - 1)) == 0);
	*rounded &= ~(unit - 1);
	return !wraps;
}

/* The end of the range in *end, unless the kernel refuses it for what it is. */
static bool
find_end(uint64_t address, uint64_t length, uint64_t *end)
{
	uint64_t rounded;

	return (address & (vmt_page_bytes - 1)) == 0 && length != 0 &&
	       vmt_kernel_range_round(length, vmt_page_bytes, &rounded) &&
	       !__builtin_add_overflow(address, rounded, end);
}

bool
vmt_kernel_range_takes(uint64_t address, uint64_t length, uint64_t *rounded)
{
	uint64_t end;

	if (!find_end(address, length, &end) || (end > USUAL_END && end > end_slow()))
		return false;
	*rounded = end - address;
	vmt_assert(*rounded != 0 && *rounded % vmt_page_bytes == 0);
	return true;
}

bool
vmt_kernel_range_cut(uint64_t address, uint64_t length, uint64_t *rounded)
{
	uint64_t end;

	if (!find_end(address, length, &end))
		return false;
	if (end > USUAL_END && end > end_slow())
		end = end_slow();
	if (address >= end)
		return false;
	*rounded = end - address;
	return true;
}

/* Whether [start, start + length) is free. A limit of locked memory is asked about after what is
 * in the way. */
static bool
is_free(uint64_t start, uint64_t length, uint32_t *calls, bool *unknown)
{
	long result;

	if (*calls == 0) {
		*unknown = true;
		return false;
	}
	--*calls;
	result = probe(start, length);
	*unknown |= result != -EEXIST && result != -EINVAL && result != -EAGAIN;
	return result == -EINVAL || result == -EAGAIN;
}

/* In doubling steps to one that is not free, and then by halves to its first page in use. */
static uint64_t
search(uint64_t start, uint64_t end, uint32_t *calls, bool *unknown)
{
	uint64_t step = vmt_page_bytes;

	while (end - start > step && is_free(start, step, calls, unknown)) {
		start += step;
		step *= 2;
	}
	while (step > vmt_page_bytes && !*unknown) {
		step /= 2;
		if (end - start > step && is_free(start, step, calls, unknown))
			start += step;
	}
	return start;
}

uint64_t
vmt_kernel_range_next(uint64_t start, uint64_t end, uint32_t *calls)
{
	bool unknown = false;

	if (!can_probe())
		return VMT_KERNEL_RANGE_UNKNOWN;
	if (!is_free(start, end - start, calls, &unknown) && !unknown)
		end = search(start, end, calls, &unknown);
	return unknown ? VMT_KERNEL_RANGE_UNKNOWN : end;
}
