/*
 * filter.h: what if the program forbids itself what the tracer does: system calls, or rdtsc?
 *
 * Around the calls by which it does so, whichever way they are seen. Async-signal-safe.
 */
#ifndef VMT_FILTER_H
#define VMT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/* Before and after a call that installs a seccomp filter: no system call of ours in between nor, if
 * it succeeds, afterwards. A vfork child's filter is its own: only the thread whose state it uses
 * keeps quiet, until the child executes or exits (one that is killed leaves it so). Strict mode
 * leaves the thread neither rdtsc nor any call: what happens then is not recorded, nor are heap
 * events while the call is under way. */
struct vmt_filter {
	bool strict; /* the caller's: SECCOMP_MODE_STRICT */
	bool in_vfork_child;
	bool no_syscalls;
	uint32_t malloc_mode;
};
void vmt_filter_begin(struct vmt_filter *filter);
void vmt_filter_end(const struct vmt_filter *filter, long result);

/* Before a PR_SET_TSC: where rdtsc is about to fault, ours must not be the one that does. */
void vmt_filter_clock(unsigned long access);

#endif
