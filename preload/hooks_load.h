/*
 * hooks_load.h: is there a dlopen whose modules nobody has looked at yet?
 *
 * hooks_load.c tells why a dlopen hook cannot look afterwards. The hooks below do it instead, at
 * the next point where waiting for the loader's list lock can add no deadlock: dlopen, dlmopen and
 * dlclose, which take it themselves, and pthread_create, fork and exit, where neither an allocator
 * nor the loader is at work further up. Never from a heap or map hook: those may run under an
 * allocator's lock, which a dl_iterate_phdr callback of another thread may be waiting for.
 */
#ifndef VMT_HOOKS_LOAD_H
#define VMT_HOOKS_LOAD_H

/* Looks at the modules where one is due. Between vmt_state_enter and vmt_state_leave; clobbers
 * errno; takes the loader's list lock; not for signal handlers. */
void vmt_hooks_load_settle(void);

#endif
