/*
 * standalone_start.h: starts the library without a loader and a C library
 *
 * The ELF entry, vmt_standalone_entry, and all that has to happen before code may be called that
 * was not compiled for it (standalone.h says what). The file is compiled without a stack protector
 * and without calls that the compiler makes up.
 */
#ifndef VMT_STANDALONE_START_H
#define VMT_STANDALONE_START_H

#include <stdbool.h>

/* In a copy of a program that is to do without the C library: from now on what collect/ and format/
 * import has the bodies of its own, and nothing else that is imported may be called. False: all is
 * as it was, but for protections. */
bool vmt_standalone_rebind(void);

/* What the entry calls once everything is in place. Does not return. */
_Noreturn void vmt_standalone_run(int count, char *const arguments[]);

#endif
