/*
 * module_path.h: makes an absolute path of the name that the dynamic linker has for a file
 */
#ifndef VMT_MODULE_PATH_H
#define VMT_MODULE_PATH_H

#include <stdint.h>

/* Fills the path, without a NUL, cut where it is longer, and returns its length: of the program
 * itself for an empty name, "[vdso]" for the kernel's. Makes no call under a seccomp filter: then a
 * relative name stays so. Async-signal-safe. */
uint32_t vmt_module_path(const char *name, char *path, uint32_t path_bytes);

#endif
