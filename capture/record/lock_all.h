/*
 * lock_all.h: mlockall for the program's memory, and not for the tracer's
 *
 * mlockall takes every mapping: the tracer's tables would become resident with the program's, and
 * RLIMIT_MEMLOCK is compared with all that is mapped. So the kernel's call is made with
 * MCL_ONFAULT, which makes nothing resident; the tracer's ranges are unlocked again, and the
 * program's are locked one by one as it asked. Where the kernel refuses because the tracer's
 * mappings count, and would not without them, the program's are locked one by one alone.
 *
 * Where /proc or MCL_ONFAULT (Linux 4.4) is missing, the plain call is made. What the tracer maps
 * later, under MCL_FUTURE, is unlocked before it can become resident (vmt_own_memory_map).
 *
 * Differs from one call: mappings that other threads make meanwhile, under MCL_CURRENT alone, may
 * be locked or not; after a refusal that was got round, an earlier MCL_FUTURE stays in force.
 * Kernel facts: mm/mlock.c (mlockall, apply_mlockall_flags).
 *
 * Between hooks or inside. Async-signal-safe as the calls are; errno is not touched.
 */
#ifndef VMT_LOCK_ALL_H
#define VMT_LOCK_ALL_H

/* The kernel's value: 0 or negative errno. */
long vmt_lock_all(int flags);

/* munlockall. */
long vmt_lock_all_undo(void);

#endif
