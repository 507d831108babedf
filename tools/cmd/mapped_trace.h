/*
 * mapped_trace.h: finds the trace that a running process writes
 *
 * The library has the head of its trace mapped shared and writable for as long as it records
 * (format/head.h). So /proc/PID/maps tells whether a process is recorded, once the file behind the
 * mapping shows a head. A fork child has its parent's trace mapped until it opens its own
 * (outside_trace.h), hence the head's pid. A head that lies aside (shm_fallback.h) is known by its
 * name, which has the pid. What the files say is not trusted: only regular ones are opened, and a
 * head is checked before it is read. Needs leave to read /proc/PID/maps.
 */
#ifndef VMT_MAPPED_TRACE_H
#define VMT_MAPPED_TRACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* Later ones outrank earlier ones where a process has several. */
enum vmt_mapped_trace_state {
	VMT_MAPPED_TRACE_NONE,
	VMT_MAPPED_TRACE_OTHER,	     /* another process's */
	VMT_MAPPED_TRACE_UNREADABLE, /* a file that may be one can't be read */
	VMT_MAPPED_TRACE_ENDED,	     /* its own, but the recording has ended */
	VMT_MAPPED_TRACE_OWN,
};

struct vmt_mapped_trace {
	bool has_library;	/* libvmtrace.so is mapped */
	bool has_nameless_code; /* and so is code that is no file's */
	bool is_aside;		/* path is of the head alone */
	bool is_uncollected;	/* its own, but the collector does not answer */
	enum vmt_mapped_trace_state state;
	uint32_t owner_pid; /* the trace's, in its own pid namespace */
	int error;	    /* of VMT_MAPPED_TRACE_UNREADABLE: an errno */
	/* From here where it is the same file, else by way of /proc/PID/root. */
	char path[PATH_MAX + 32];
};

/* 0, or negative errno: maps can't be read. */
int vmt_mapped_trace_find(struct vmt_mapped_trace *trace, uint32_t pid);

/* Why no recorder can be put into a process: another is in it, without the library. NULL: none is
 * seen. */
const char *vmt_mapped_trace_recorder(uint32_t pid);

#endif
