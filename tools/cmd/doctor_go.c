#include "tools/cmd/doctor.h"
#include "tools/read/elf/go_raw_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the library gets in at all: the obstacle was told, this says what does help with Go. */
static void
check_linking(struct vmt_doctor *doctor, const struct vmt_preloadable *program,
	      const struct vmt_go_raw_calls *go)
{
	if (go->cgo)
		vmt_doctor_say(
		    doctor, VMT_DOCTOR_OK, NULL,
		    "cgo: C code is linked in; its calls are seen with their Go callers");
	else if (vmt_preloadable_is_static(program))
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "no cgo: all its memory calls are the Go runtime's own");
	else if (program->libc == VMT_PRELOADABLE_LIBC_NONE)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "build it with CGO_ENABLED=1 and -ldflags=-linkmode=external, or "
			       "with an import \"C\" in it; until then GODEBUG=gctrace=1 and "
			       "runtime/metrics show what Go counts",
			       "no cgo: the Go linker made it static");
	else
		vmt_doctor_say(
		    doctor, VMT_DOCTOR_NOTE,
		    "build it with CGO_ENABLED=1 and -ldflags=-linkmode=external, or with "
		    "an import \"C\" in it",
		    "no cgo: the Go runtime makes all its memory calls and threads "
		    "without libc, and those are not recorded");
}

static void
check_symbols(struct vmt_doctor *doctor, const struct vmt_go_raw_calls *go)
{
	if (go->has_symbols && go->has_debug)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "not stripped: lines of Go and C, and the runtime's own counters");
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "build it without -s and -w in -ldflags to have them",
			       "stripped (%s): Go functions and lines%s are still known; lines of "
			       "C code%s are not",
			       go->has_symbols ? "-w" : "-s -w",
			       go->has_inlined ? "" : " (but no inlined calls)",
			       go->has_counters ? "" : " and the runtime's own counters");
}

static void
check_heap(struct vmt_doctor *doctor, const struct vmt_go_raw_calls *go)
{
	if (go->has_heap)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "what the Go heap is used for can be read: objects, free slots, "
			       "goroutine stacks, free pages");
	else
		vmt_doctor_say(
		    doctor, VMT_DOCTOR_NOTE, "build it with Go 1.19 or 1.21 to 1.27 to have it",
		    "how the runtime of %s keeps its heap is unknown: objects, goroutine "
		    "stacks and free pages are one class",
		    go->version);
}

static void
check_profile(struct vmt_doctor *doctor, const struct vmt_go_raw_calls *go)
{
	if (go->has_profile)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "the Go runtime keeps its memory profile: live objects have their "
			       "lines");
	else if (go->lacks_profile)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "vmtrace record --go-heap turns it on when the program starts",
			       "the Go runtime of this program keeps no memory profile, as nothing "
			       "reads it: live objects have no lines");
}

/* One line for the sites that would be seen, one for each of the others. */
static void
check_sites(struct vmt_doctor *doctor, const struct vmt_go_raw_calls *go)
{
	char known[512] = "";

	for (size_t i = 0; i < go->site_count; i++) {
		size_t used = strlen(known);

		if (go->sites[i].known)
			snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
				 go->sites[i].symbol);
		else
			vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
				       "treat what that call gives back as a lower bound",
				       "raw system calls in %s have unknown machine code: they are "
				       "left alone and not recorded",
				       go->sites[i].symbol);
	}
	if (known[0])
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "raw system calls of the Go runtime that would be recorded: %s",
			       known);
	else if (!go->supported)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "treat madvise figures of the Go heap as lower bounds",
			       "the Go runtime makes some system calls without libc; on the "
			       "program's architecture they are not recorded");
}

/* 0: whoever may be looked at may be read. */
static long
read_ptrace_scope(void)
{
	FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	char line[32] = "";

	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return strtol(line, NULL, 10);
}

void
vmt_doctor_go_counters(struct vmt_doctor *doctor, long ptrace_scope)
{
	if (ptrace_scope <= 0)
		return;
	vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
		       ptrace_scope == 1   ? "use vmtrace record: the program is then its child"
		       : ptrace_scope == 2 ? "give vmtrace record CAP_SYS_PTRACE"
					   : "only a reboot with another value helps",
		       "kernel.yama.ptrace_scope is %ld: a collector that the library starts can't "
		       "read the Go runtime's own counters%s",
		       ptrace_scope, ptrace_scope == 1 ? "" : ", nor can vmtrace record");
}

void
vmt_doctor_go(struct vmt_doctor *doctor, const struct vmt_preloadable *program)
{
	struct vmt_go_raw_calls go;

	if (!vmt_go_raw_calls_inspect(&go, program->path) || !go.is_go) {
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "treat madvise figures of the Go heap as lower bounds",
			       "the Go runtime's table of functions was not found: its raw system "
			       "calls are not recorded");
		return;
	}
	check_linking(doctor, program, &go);
	check_symbols(doctor, &go);
	check_heap(doctor, &go);
	check_profile(doctor, &go);
	if (!go.supported || vmt_preloadable_is_static(program) ||
	    (go.cgo && (program->is_library || program->libc != VMT_PRELOADABLE_LIBC_NONE)))
		check_sites(doctor, &go);
	if (program->is_go_race)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, "record a build without -race",
			       "built with the race detector: its shadow memory will be under "
			       "unattributed");
	vmt_doctor_go_counters(doctor, read_ptrace_scope());
}
