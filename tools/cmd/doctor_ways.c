#include "tools/cmd/doctor.h"
#include "tools/cmd/snapshot_take.h"

#include <inttypes.h>

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

/* One line each: what it needs, or why it can't be. That of the library is doctor_process.c's. */
static void (*const ways[])(struct vmt_doctor *doctor, uint32_t pid) = {
    say_snapshot,
};

void
vmt_doctor_ways(struct vmt_doctor *doctor, uint32_t pid)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		ways[i](doctor, pid);
}
