/*
 * modules.h: the files that are loaded now, and what has come and gone
 *
 * Looks by the loader's list, at load and where waiting for the loader's lock can add no deadlock
 * (hooks_load.h; never on the event path), writes MODULE_LOAD and MODULE_UNLOAD events for the
 * differences, and publishes the sorted list of loaded modules with their .eh_frame_hdr for the
 * stack walker, which reads it without a lock. A module whose code the walker meets before any look
 * has seen it is noticed there and then. One thread at a time changes the list; another that comes
 * meanwhile leaves a mark and goes on.
 *
 * Module contents are read under a count of readers (begin_read, end_read), which a dlclose waits
 * for, bounded; a reader that never comes back makes contents unreadable for good, and stacks go on
 * with the rules already known and with frame pointers.
 */
#ifndef VMT_MODULES_H
#define VMT_MODULES_H

#include "base/elf_headers.h"
#include "unwind/loaded_module.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At load: _dl_find_object (glibc 2.35 and later; lock-free, async-signal-safe), or NULL. It knows
 * what the C library loads and unloads for itself, which no hook sees. */
void vmt_modules_set_finder(int (*find_object)(void *address, void *result));
bool vmt_modules_has_finder(void);

/* At load: lists what is loaded, as dl_iterate_phdr does. Until then nothing is found. */
typedef int vmt_modules_visit(struct dl_phdr_info *info, size_t size, void *context);
void vmt_modules_set_lister(int (*list)(vmt_modules_visit *visit, void *context));

/* At load: completes what a file's headers say of it, where its tables of frames have no index. */
void vmt_modules_set_completer(void (*complete)(struct vmt_elf_headers *image));

/* Called whenever what is known of code addresses no longer holds, by the thread that changes the
 * list, before it goes on. */
void vmt_modules_set_on_change(void (*on_change)(void));

/* Compares with the last look and writes what changed. Calls libc: not on the event path. */
void vmt_modules_refresh(void);

/* Writes MODULE_LOAD for every known module into a fresh trace (fork child). No libc call. */
void vmt_modules_announce(void);

/* Before and after a dlclose: walkers do not read module contents in between. */
void vmt_modules_begin_unload(void);
void vmt_modules_end_unload(void);

/* Whether module contents may be read now; true must be paired with end_read, soon and without
 * blocking in between. */
bool vmt_modules_begin_read(void);
void vmt_modules_end_read(void);

/* The module that covers an address, copied out; false where none does or an unload is under way.
 */
bool vmt_modules_find(uint64_t address, struct vmt_loaded_module *module);

/* The same for the walker, between begin_read and end_read: asks the finder first, so a module that
 * no look has seen yet is found too (id 0), and one that has gone is not. */
bool vmt_modules_find_code(uint64_t address, struct vmt_loaded_module *module);

/* The walker met code of a module that no look has seen yet: adds it to the list and writes its
 * MODULE_LOAD (and MODULE_UNLOAD for what the list had in its place), if the finder knows it and
 * nobody else is at the list. No libc call but the finder; async-signal-safe. */
void vmt_modules_notice(uint64_t address);

#endif
