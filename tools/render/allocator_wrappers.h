/*
 * allocator_wrappers.h: is this function an allocator's wrapper, which decides nothing itself?
 *
 * palloc, zmalloc, g_malloc, xmalloc: half of a program's blocks come through a few such functions.
 * A row that is named after one of them says nothing; who called it decided to have memory. The
 * list has functions that hand out memory of any size for any purpose, from the sources of
 * PostgreSQL 16, Redis 7, nginx, CPython 3.12, GLib, gnulib, git, SQLite, OpenSSL, APR, PHP 8,
 * Ruby, Perl, Lua, MariaDB, BIND, systemd, libuv, Node, V8, HotSpot, Qt, LLVM, FFmpeg, libevent,
 * Tcl, Boehm's collector, OCaml, talloc, Dovecot, Postfix, Tor, HAProxy, and of allocators that are
 * linked into programs (jemalloc, tcmalloc, mimalloc). Stateless, thread safe.
 */
#ifndef VMT_ALLOCATOR_WRAPPERS_H
#define VMT_ALLOCATOR_WRAPPERS_H

#include <stdbool.h>
#include <stddef.h>

/* Its name as a report has it: C++ with arguments, a clone of the compiler's with its ending
 * (".part.0"). */
bool vmt_allocator_wrappers_has(const char *function);

/* The list: the names, sorted by strcmp; for tests. */
const char *const *vmt_allocator_wrappers_names(size_t *count);

#endif
