#include "base/procfs.h"
#include "tools/cmd/doctor.h"
#include "tools/cmd/library.h"
#include "tools/cmd/mapped_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A number in /proc/PID/status, -1 where there is none. */
static long
read_status(uint32_t pid, const char *field)
{
	char path[64];
	char line[256];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/status", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (number < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
			number = strtol(line + strlen(field) + 1, NULL, 10);
	fclose(file);
	return number;
}

/* A trace that is mapped there and isn't its own, or may not be. */
static void
say_unsure(struct vmt_doctor *doctor, uint32_t pid, const struct vmt_mapped_trace *trace)
{
	doctor->verdict = "Whether it is being recorded is not known: see the notes above.";
	if (trace->state == VMT_MAPPED_TRACE_UNREADABLE)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "run doctor as root on the host, or vmtrace report on that file",
			       "%s is loaded in process %" PRIu32
			       "; a file that it has mapped can't be read as a trace: %s: %s",
			       VMT_LIBRARY_NAME, pid, trace->path, strerror(trace->error));
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "a fork child opens a trace of its own at its first memory call, "
			       "if fork children are recorded; a collector has those it writes",
			       "%s is loaded in process %" PRIu32
			       ", which has no trace of its own, but that of process %" PRIu32
			       ": %s",
			       VMT_LIBRARY_NAME, pid, trace->owner_pid, trace->path);
}

/* Its rings still take what happens: the newest of it, where they are full. */
static void
say_uncollected(struct vmt_doctor *doctor, uint32_t pid, const struct vmt_mapped_trace *trace)
{
	doctor->verdict = "Is not recorded as it should be: no collector of it answers.";
	vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, "to record it again, restart it",
		       "process %" PRIu32
		       " has no collector that answers: its memory is not looked "
		       "at, and only its newest events are kept: %s",
		       pid, trace->path);
}

static void
say_recorded(struct vmt_doctor *doctor, uint32_t pid, const struct vmt_mapped_trace *trace)
{
	doctor->is_recorded = true;
	doctor->verdict = "Is being recorded.";
	if (trace->is_aside)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "process %" PRIu32 " is being recorded; the trace's file system has "
			       "no shared mappings, so its path can't be seen here (its head: %s)",
			       pid, trace->path);
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "process %" PRIu32 " is being recorded: %s", pid, trace->path);
}

/* The library is loaded, and nothing is recorded now. */
static void
say_idle(struct vmt_doctor *doctor, uint32_t pid, const struct vmt_mapped_trace *trace)
{
	doctor->verdict = "Can be recorded after a restart.";
	if (trace->state == VMT_MAPPED_TRACE_ENDED)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, "vmtrace report tells why",
			       "the recording of process %" PRIu32 " has ended: %s", pid,
			       trace->path);
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "see what it wrote to its stderr, and its VMTRACE_ONLY and "
			       "VMTRACE_OUTPUT; a recording may also have ended early",
			       "%s is loaded in process %" PRIu32
			       ", but records nothing: no trace is mapped there",
			       VMT_LIBRARY_NAME, pid);
}

static void
say_not_loaded(struct vmt_doctor *doctor, uint32_t pid)
{
	doctor->is_idle = true;
	doctor->verdict = "Can be recorded after a restart.";
	vmt_doctor_say(
	    doctor, VMT_DOCTOR_NOTE,
	    doctor->is_static
		? "for all of its calls from the start restart it under vmtrace record"
		: "for blocks of its malloc restart it under vmtrace record, or with the variables "
		  "that vmtrace env prints",
	    "%s is not loaded in process %" PRIu32, VMT_LIBRARY_NAME, pid);
}

static void
check_recorded(struct vmt_doctor *doctor, uint32_t pid)
{
	struct vmt_mapped_trace trace = {.state = VMT_MAPPED_TRACE_NONE};
	int result = vmt_mapped_trace_find(&trace, pid);

	if (result == -EACCES || result == -EPERM)
		vmt_doctor_say(doctor, VMT_DOCTOR_LACK, vmt_doctor_remedy_of_denial(),
			       "/proc/%" PRIu32 "/maps: %s", pid, strerror(-result));
	else if (result < 0)
		vmt_doctor_say(doctor, VMT_DOCTOR_LACK, "see whether the process has ended",
			       "/proc/%" PRIu32 "/maps: %s", pid, strerror(-result));
	else if (!trace.has_library && trace.state == VMT_MAPPED_TRACE_NONE)
		say_not_loaded(doctor, pid);
	else if (trace.state == VMT_MAPPED_TRACE_OWN && trace.is_uncollected)
		say_uncollected(doctor, pid, &trace);
	else if (trace.state == VMT_MAPPED_TRACE_OWN)
		say_recorded(doctor, pid, &trace);
	else if (trace.state == VMT_MAPPED_TRACE_NONE || trace.state == VMT_MAPPED_TRACE_ENDED)
		say_idle(doctor, pid, &trace);
	else
		say_unsure(doctor, pid, &trace);
}

static void
check_pagemap(struct vmt_doctor *doctor, uint32_t pid)
{
	int fd = vmt_procfs_open(pid, "pagemap");

	if (fd >= 0) {
		close(fd);
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "its page tables can be read");
		return;
	}
	vmt_doctor_say(
	    doctor, VMT_DOCTOR_NOTE,
	    "nothing to do where the library starts its own collector: it opens them early",
	    "its page tables can't be read from here: %s", strerror(-fd));
}

static void
check_seccomp(struct vmt_doctor *doctor, uint32_t pid)
{
	long mode = read_status(pid, "Seccomp");

	if (mode == 1)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, "figures end when it enters that mode",
			       "it runs in seccomp's strict mode: hooks make no system call");
	else if (mode > 1)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "nothing to do for a container's filter; after a filter of the "
			       "program's own, pages are not checked before a release",
			       "a seccomp filter is installed");
	else if (mode == 0)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "no seccomp filter");
}

void
vmt_doctor_process(struct vmt_doctor *doctor, uint32_t pid)
{
	check_recorded(doctor, pid);
	check_pagemap(doctor, pid);
	check_seccomp(doctor, pid);
	vmt_doctor_ways(doctor, pid);
}
