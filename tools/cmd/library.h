/*
 * library.h: finds libvmtrace.so.
 *
 * Looked for where VMTRACE_LIB says, then beside the vmtrace executable, then in ../lib from there.
 */
#ifndef VMT_LIBRARY_H
#define VMT_LIBRARY_H

#include "tools/err.h"

#include <limits.h>

#define VMT_LIBRARY_NAME "libvmtrace.so"

/* Absolute path of the library, one that LD_PRELOAD can express (no space, no colon). */
int vmt_library_find(char path[PATH_MAX], struct vmt_err *err);

#endif
