#include "inject/attach.h"
#include "tools/cmd/doctor.h"
#include "tools/cmd/mapped_trace.h"
#include "tools/cmd/snapshot_modules.h"
#include "tools/cmd/snapshot_take.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void
say_snapshot(struct vmt_doctor *doctor, uint32_t pid)
{
	struct vmt_err why = {""};

	if (vmt_snapshot_take_check(pid, &why) == 0)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "snapshot: vmtrace snapshot %" PRIu32
			       " says what it has in RAM now, without touching it",
			       pid);
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, "take it as its user, or as root",
			       "snapshot: none can be taken: %s", why.text);
}

static bool
can_attach(uint32_t pid, uint32_t *heap_functions, char why[VMT_WHY_BYTES])
{
	const char *other = vmt_mapped_trace_recorder(pid);
	struct vmt_attach *attach;
	bool can;

	if (other)
		return vmt_why_put(why, other, 0);
	attach = calloc(1, sizeof(*attach)); /* large */
	if (!attach)
		return vmt_why_put(why, "there is no memory to look at its code", 0);
	attach->pid = (pid_t)pid;
	attach->wants_heap = true;
	can = vmt_attach_can_try(attach);
	*heap_functions = vmt_attach_images_led(&attach->images);
	memcpy(why, attach->why, VMT_WHY_BYTES);
	vmt_attach_close(attach);
	free(attach);
	return can;
}

/* Nothing of one that is recorded already. */
static void
say_attach(struct vmt_doctor *doctor, uint32_t pid)
{
	char why[VMT_WHY_BYTES];
	uint32_t heap_functions = 0;

	if (doctor->is_recorded)
		return;
	if (can_attach(pid, &heap_functions, why)) {
		if (doctor->is_idle)
			doctor->verdict = "Recording it as it runs can be tried.";
		vmt_doctor_say(
		    doctor, VMT_DOCTOR_OK, NULL,
		    "attach: vmtrace record -p %" PRIu32
		    " can be tried: it records its mappings as it runs%s, and leaves it "
		    "again",
		    pid, heap_functions != 0 ? ", with --malloc all blocks of malloc, too" : "");
	} else {
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "vmtrace record -p watches what it has in RAM, from outside",
			       "attach: its calls can't be recorded as it runs: %s", why);
	}
}

/* `record` looks for a runtime when it begins. */
static void
say_go_library(struct vmt_doctor *doctor, uint32_t pid)
{
	struct vmt_snapshot_modules modules;

	vmt_snapshot_modules_find(&modules, pid);
	if (modules.is_go && modules.go_library)
		vmt_doctor_say(
		    doctor, VMT_DOCTOR_NOTE,
		    "vmtrace snapshot reads them, and vmtrace record where the program "
		    "is linked with that library",
		    "Go's runtime came with %s: where the program loads that as it runs, "
		    "vmtrace record does not read what the runtime counts and what its "
		    "heap is used for",
		    modules.go_library);
	if (modules.is_go && (modules.go.flags & VMT_GO_SEVERAL))
		vmt_doctor_say(
		    doctor, VMT_DOCTOR_NOTE, "nothing helps",
		    "there are several Go runtimes: what one of them counts and what its "
		    "heap is used for is read, and of the others nothing");
	vmt_snapshot_modules_free(&modules);
}

/* One line each: what it needs, or why it can't be. That of the library is doctor_process.c's. */
static void (*const ways[])(struct vmt_doctor *doctor, uint32_t pid) = {
    say_snapshot,
    say_attach,
    say_go_library,
};

void
vmt_doctor_ways(struct vmt_doctor *doctor, uint32_t pid)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		ways[i](doctor, pid);
}
