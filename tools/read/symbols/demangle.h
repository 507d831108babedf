/*
 * demangle.h: C++ and Rust names as the programmer wrote them.
 *
 * C++ (Itanium) and Rust (legacy and v0) names by libiberty, without parameters: file and line tell
 * overloads apart. Thread safe.
 */
#ifndef VMT_DEMANGLE_H
#define VMT_DEMANGLE_H

/* To be freed; NULL where the name is not a mangled one. */
char *vmt_demangle_name(const char *mangled);

#endif
