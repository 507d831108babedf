#include "capture/record/around_own.h"

#include "base/pages.h"
#include "base/sys.h"
#include "capture/record/kernel_range.h"
#include "capture/record/own_release.h"

#include <errno.h>
#include <sys/mman.h>

/* include/uapi/asm-generic/mman-common.h; newer than the C library's headers may be. */
#define ADVICE_WIPEONFORK 18
#define ADVICE_KEEPONFORK 19
#define ADVICE_DONTNEED_LOCKED 24
#define ADVICE_FIRST_POISON 100 /* HWPOISON, SOFT_OFFLINE, GUARD_INSTALL, GUARD_REMOVE */

long
vmt_around_own_make(const struct vmt_around_own *around, uint64_t address, uint64_t length)
{
	uint64_t rounded;
	uint64_t end;
	long result = 0;

	if (!vmt_kernel_range_cut(address, length, &rounded) ||
	    !vmt_own_release_meets(address, address + rounded))
		return around->part(around->call, address, length);
	end = address + rounded;
	while (address < end) {
		struct vmt_own_range ours;
		long one = 0;

		if (!vmt_own_release_next_whole(address, end, &ours))
			ours = (struct vmt_own_range){end, end};
		if (ours.start > address)
			one = around->part(around->call, address, ours.start - address);
		if (one < 0)
			result = one;
		if (one < 0 && !(around->past_holes && one == -ENOMEM))
			break;
		address = ours.end;
	}
	return result;
}

bool
vmt_around_own_harms(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case ADVICE_WIPEONFORK:
	case ADVICE_KEEPONFORK:
	case ADVICE_DONTNEED_LOCKED:
		return true;
	default:
		return advice >= ADVICE_FIRST_POISON;
	}
}

struct protect {
	int protection;
	int key;
};

static long
protect(const void *call, uint64_t address, uint64_t length)
{
	const struct protect *to = call;

	if (to->key == -1)
		return vmt_sys_call3(SYS_mprotect, address, length, to->protection);
	return vmt_sys_call4(SYS_pkey_mprotect, address, length, to->protection, to->key);
}

long
vmt_around_own_mprotect(uint64_t address, uint64_t length, int protection, int key)
{
	struct protect to = {protection, key};
	struct vmt_around_own around = {protect, &to, false};

	return vmt_around_own_make(&around, address, length);
}

static long
advise(const void *call, uint64_t address, uint64_t length)
{
	return vmt_sys_call3(SYS_madvise, address, length, *(const int *)call);
}

long
vmt_around_own_madvise(uint64_t address, uint64_t length, int advice)
{
	struct vmt_around_own around = {advise, &advice, true};

	return vmt_around_own_harms(advice) ? vmt_around_own_make(&around, address, length)
					    : advise(&advice, address, length);
}
