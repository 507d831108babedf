/*
 * advice.h: what madvise can be told
 *
 * Numbers are the kernel's (include/uapi/asm-generic/mman-common.h; not all are in every libc's
 * headers) and the same on all machines that vmtrace runs on. Freestanding.
 */
#ifndef VMT_ADVICE_H
#define VMT_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_ADVICE_DONTNEED 4u
#define VMT_ADVICE_FREE 8u
#define VMT_ADVICE_REMOVE 9u
#define VMT_ADVICE_HUGEPAGE 14u
#define VMT_ADVICE_NOHUGEPAGE 15u
#define VMT_ADVICE_PAGEOUT 21u
#define VMT_ADVICE_DONTNEED_LOCKED 24u
#define VMT_ADVICE_COLLAPSE 25u
#define VMT_ADVICE_GUARD_INSTALL 102u

/* NULL: a number that this build does not know. */
static inline const char *
vmt_advice_name(unsigned advice)
{
	static const char *const names[] = {
	    [0] = "MADV_NORMAL",	  [1] = "MADV_RANDOM",
	    [2] = "MADV_SEQUENTIAL",	  [3] = "MADV_WILLNEED",
	    [4] = "MADV_DONTNEED",	  [8] = "MADV_FREE",
	    [9] = "MADV_REMOVE",	  [10] = "MADV_DONTFORK",
	    [11] = "MADV_DOFORK",	  [12] = "MADV_MERGEABLE",
	    [13] = "MADV_UNMERGEABLE",	  [14] = "MADV_HUGEPAGE",
	    [15] = "MADV_NOHUGEPAGE",	  [16] = "MADV_DONTDUMP",
	    [17] = "MADV_DODUMP",	  [18] = "MADV_WIPEONFORK",
	    [19] = "MADV_KEEPONFORK",	  [20] = "MADV_COLD",
	    [21] = "MADV_PAGEOUT",	  [22] = "MADV_POPULATE_READ",
	    [23] = "MADV_POPULATE_WRITE", [24] = "MADV_DONTNEED_LOCKED",
	    [25] = "MADV_COLLAPSE",	  [100] = "MADV_HWPOISON",
	    [101] = "MADV_SOFT_OFFLINE",  [102] = "MADV_GUARD_INSTALL",
	    [103] = "MADV_GUARD_REMOVE",
	};

	return advice < sizeof(names) / sizeof(names[0]) ? names[advice] : NULL;
}

/* How pages went out of a file in memory, in the place of an advice: of FILE_RELEASE. */
enum vmt_file_release_how { VMT_FILE_SHRUNK, VMT_FILE_PUNCHED };

static inline const char *
vmt_file_release_name(unsigned how)
{
	return how == VMT_FILE_SHRUNK ? "ftruncate" : "fallocate(PUNCH_HOLE)";
}

/* How memory was locked, in the place of an advice: of MLOCK. That of mlockall has its flags. */
enum vmt_lock_how { VMT_LOCK_RANGE, VMT_LOCK_ON_FAULT, VMT_LOCK_ALL = 1 << 8 };

/* NULL: mlockall with flags that this build does not know. */
static inline const char *
vmt_lock_name(unsigned how)
{
	static const char *const all[] = {
	    [1] = "mlockall(MCL_CURRENT)",
	    [2] = "mlockall(MCL_FUTURE)",
	    [3] = "mlockall(MCL_CURRENT|MCL_FUTURE)",
	    [5] = "mlockall(MCL_CURRENT|MCL_ONFAULT)",
	    [6] = "mlockall(MCL_FUTURE|MCL_ONFAULT)",
	    [7] = "mlockall(MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT)",
	};
	unsigned flags = how & (VMT_LOCK_ALL - 1);

	if (!(how & VMT_LOCK_ALL))
		return how == VMT_LOCK_RANGE ? "mlock" : "mlock2(MLOCK_ONFAULT)";
	return flags < sizeof(all) / sizeof(all[0]) ? all[flags] : NULL;
}

/* Whether the pages are gone when the call is over, and the next touch gets others. */
static inline bool
vmt_advice_drops(unsigned advice)
{
	return advice == VMT_ADVICE_DONTNEED || advice == VMT_ADVICE_REMOVE ||
	       advice == VMT_ADVICE_DONTNEED_LOCKED || advice == VMT_ADVICE_GUARD_INSTALL;
}

/* Whether the kernel gives pages back, now or under pressure. Of a number that this build does not
 * know it may. */
static inline bool
vmt_advice_releases(unsigned advice)
{
	return advice == VMT_ADVICE_DONTNEED || advice == VMT_ADVICE_FREE ||
	       advice == VMT_ADVICE_REMOVE || advice == VMT_ADVICE_PAGEOUT ||
	       advice == VMT_ADVICE_DONTNEED_LOCKED || advice == VMT_ADVICE_GUARD_INSTALL ||
	       !vmt_advice_name(advice);
}

#endif
