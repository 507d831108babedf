/*
 * hooks_load.h: looks at what a dlopen brought, once that is safe
 *
 * hooks_load.c tells why a dlopen hook cannot look afterwards. The next dlopen, dlmopen or dlclose
 * does it instead: they take the loader's list lock themselves, so waiting for it adds no deadlock.
 * Where the walker can't ask the C library for a module without a lock (glibc before 2.35), fork,
 * pthread_create and exit look, too; a thread that holds the lock until one of them is done would
 * wait for ever there. Never from a heap or map hook: those may run under an
 * allocator's lock, which a dl_iterate_phdr callback of another thread may be waiting for.
 */
#ifndef VMT_HOOKS_LOAD_H
#define VMT_HOOKS_LOAD_H

/* Looks at the modules where one is due and nothing else would find them. Between vmt_guard_enter
 * and vmt_guard_leave; clobbers errno; takes the loader's list lock; not for signal handlers. */
void vmt_hooks_load_settle(void);

#endif
