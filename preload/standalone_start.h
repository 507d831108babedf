/*
 * standalone_start.h: how does the library come to run without a loader and a C library?
 *
 * The ELF entry, vmt_standalone_entry, and all that has to happen before code may be called that
 * was not compiled for it (standalone.h says what). The file is compiled without a stack protector
 * and without calls that the compiler makes up.
 */
#ifndef VMT_STANDALONE_START_H
#define VMT_STANDALONE_START_H

/* What the entry calls once everything is in place. Does not return. */
_Noreturn void vmt_standalone_run(int count, char *const arguments[]);

#endif
