/*
 * preloadable.h: whether libvmtrace.so can be loaded into a program.
 *
 * Looks at a program's file as the kernel and the dynamic loader will: through PATH, through #!
 * lines, at its ELF header, interpreter and symbols. Executes nothing, opens only regular files.
 * Bytes of the file are untrusted.
 */
#ifndef VMT_PRELOADABLE_H
#define VMT_PRELOADABLE_H

#include "tools/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum vmt_preloadable_libc {
	VMT_PRELOADABLE_LIBC_NONE, /* no interpreter: statically linked */
	VMT_PRELOADABLE_LIBC_GLIBC,
	VMT_PRELOADABLE_LIBC_MUSL,
	VMT_PRELOADABLE_LIBC_OTHER,
};

struct vmt_preloadable {
	char path[PATH_MAX];	    /* the ELF file that will run */
	char script[PATH_MAX];	    /* the script that names it; empty = none */
	char interpreter[PATH_MAX]; /* dynamic loader; empty = none */
	enum vmt_preloadable_libc libc;
	bool right_machine; /* same machine and word size as this command */
	bool is_setuid;	    /* it will run as somebody else: the loader ignores LD_PRELOAD */
	bool has_capabilities;
	bool is_go;
	char go_version[64]; /* empty = not to be found */
	bool defines_malloc;
	bool is_library;   /* a shared object, no program */
	bool is_sanitized; /* AddressSanitizer, MemorySanitizer or ThreadSanitizer */
	bool is_go_race; /* the ThreadSanitizer is that of go build -race, which replaces nothing */
};

/* Whether execvp(command) would find a file of machine code first, whole or not: its path. */
bool vmt_preloadable_find_elf(const char *command, char path[PATH_MAX]);

/* The program that execvp(command) would run. */
int vmt_preloadable_inspect(struct vmt_preloadable *program, const char *command,
			    struct vmt_err *err);

/* Whether it is a whole program that no loader loads anything into, and that this command may put
 * the recorder into (inject/static_start.h). */
bool vmt_preloadable_is_static(const struct vmt_preloadable *program);

/* Why the library can't be loaded into it, or NULL; *remedy says what to do about that. */
const char *vmt_preloadable_obstacle(const struct vmt_preloadable *program, const char **remedy);

#endif
