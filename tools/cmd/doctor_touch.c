/*
 * Whether page faults can be sampled, asked of the kernel as the collector asks, and what would
 * help where they can't. Yama does not matter: it limits who may attach to a process, not who may
 * read of it.
 */
#include "collect/touch_events.h"
#include "collect/touch_rings.h"
#include "tools/cmd/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UNKNOWN_LEVEL (-9)

static int
paranoid_level(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
	int level = UNKNOWN_LEVEL;

	if (file) {
		if (fscanf(file, "%d", &level) != 1)
			level = UNKNOWN_LEVEL;
		fclose(file);
	}
	return level;
}

/* 0, or a negative errno of the events or of their buffers. */
static int
try_events(struct vmt_touch_events *events)
{
	struct vmt_touch touch = {.period = VMT_TOUCH_PACE_FIRST_PERIOD};
	int result = vmt_touch_events_probe(&touch.events);

	if (result == 0) {
		result = vmt_touch_rings_open(&touch);
		vmt_touch_rings_close(&touch);
	}
	*events = touch.events;
	return result;
}

/* What stands in the way says how it can be removed. */
static const char *
remedy_of(int error, int level)
{
	if (error == EACCES && level > 2)
		return "set kernel.perf_event_paranoid to 2 or less (sysctl), or give vmtrace "
		       "CAP_PERFMON";
	if (error == EACCES)
		return "give vmtrace CAP_PERFMON";
	if (error == EPERM || error == ENOSYS)
		return "allow perf_event_open: Docker: --cap-add PERFMON, or a seccomp profile "
		       "that has it; Kubernetes: securityContext.capabilities.add: [PERFMON], or "
		       "such a profile as seccompProfile";
	if (error == EMFILE || error == ENFILE)
		return "raise the limit of open files (ulimit -n)";
	return "nothing to do: all else is recorded";
}

static void
say_refused(struct vmt_doctor *doctor, int error)
{
	int level = paranoid_level();
	char why[64] = "";

	if (error == EACCES && level != UNKNOWN_LEVEL)
		snprintf(why, sizeof(why), " (kernel.perf_event_paranoid is %d)", level);
	vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, remedy_of(error, level),
		       "page faults can't be sampled (--touch), so who first touched memory stays "
		       "unknown: %s%s",
		       strerror(error), why);
}

void
vmt_doctor_touch(struct vmt_doctor *doctor)
{
	struct vmt_touch_events events;
	int result = try_events(&events);

	if (result < 0)
		say_refused(doctor, -result);
	else if (events.kernel)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "page faults can be sampled (--touch), also those in system calls");
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "page faults can be sampled (--touch), but not those in system "
			       "calls, as of read() into fresh memory: that takes "
			       "kernel.perf_event_paranoid of 1 or CAP_PERFMON");
}
