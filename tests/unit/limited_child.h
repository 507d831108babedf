/*
 * limited_child.h: a fork child with limits, and a trace in memory that is all that the tracer has.
 *
 * in_child runs a question in one: 0 = as it should be, else the number of the check that failed.
 */
#ifndef VMT_TEST_LIMITED_CHILD_H
#define VMT_TEST_LIMITED_CHILD_H

#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/record/retreat.h"
#include "format/head.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define TRACE_BYTES (4 * MIB)

static inline uint64_t
virtual_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!file || fscanf(file, "%lu", &pages) != 1)
		abort();
	fclose(file);
	return (uint64_t)pages * 4096;
}

/* The child's copy of the mapping is the tracer's, and all that it has. */
static inline void
begin(void)
{
	struct vmt_recording *process = &vmt_recording;

	process->head =
	    mmap(NULL, TRACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (process->head == MAP_FAILED || !vmt_guard_set_up())
		abort();
	process->head_mapped_bytes = TRACE_BYTES;
	process->head->pid = (uint32_t)getpid();
	vmt_guard_begin_recording();
}

static inline void
lift_limit(void)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_AS, &none) != 0)
		abort();
}

/* So much is left of the address space. */
static inline void
leave_room(uint64_t bytes)
{
	struct rlimit limit = {virtual_bytes() + bytes, RLIM_INFINITY};

	if (setrlimit(RLIMIT_AS, &limit) != 0)
		abort();
}

static inline bool
is_recording(void)
{
	return vmt_atomic_load_relaxed(&vmt_guard_owner->state) == VMT_OWNER_RECORDING;
}

static inline bool
ask_mmap(uint64_t bytes, int flags)
{
	struct vmt_mapping_request request = {
	    0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0};

	return vmt_retreat_from_mmap(&request, -ENOMEM);
}

/* What a child does; 0 = as it should be, else the number of the check that failed. */
static inline void
in_child(int (*ask)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		begin();
		_exit(ask());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#endif
