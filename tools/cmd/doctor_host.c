#include "collect/residency.h"
#include "tools/cmd/doctor.h"
#include "tools/cmd/library.h"
#include "tools/render/units.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

/* What a trace file takes before its first event. */
#define TRACE_HEAD_BYTES (UINT64_C(64) << 20)

static void
check_residency(struct vmt_doctor *doctor)
{
	struct utsname host;
	const char *release = uname(&host) == 0 ? host.release : "?";

	if (vmt_residency_works(VMT_RESIDENCY_PAGEMAP_SCAN))
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "kernel %s: resident pages are read by PAGEMAP_SCAN", release);
	else if (vmt_residency_works(VMT_RESIDENCY_PAGEMAP))
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE, "Linux 6.7 or newer has PAGEMAP_SCAN",
			       "kernel %s: resident pages are read from /proc/PID/pagemap, which "
			       "is slower and does not tell huge pages",
			       release);
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_LACK,
			       "mount /proc into the container without hiding pagemap",
			       "kernel %s: resident pages can't be read", release);
}

static void
check_clock(struct vmt_doctor *doctor)
{
	char name[64] = "";
	FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");

	if (file) {
		if (!fgets(name, sizeof(name), file))
			name[0] = '\0';
		fclose(file);
	}
	name[strcspn(name, "\n")] = '\0';
	if (strcmp(name, "tsc") == 0)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "clock: tsc");
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "nothing to do: events cost about 20 ns more than with tsc",
			       "clock: CLOCK_MONOTONIC, because the kernel's clock source is '%s'",
			       *name ? name : "unknown");
}

static void
check_library(struct vmt_doctor *doctor)
{
	struct vmt_err err = {""};
	char path[PATH_MAX];

	if (vmt_library_find(path, &err) == 0 && access(path, X_OK) == 0)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "library: %s", path);
	else if (err.text[0] == '\0')
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "make it executable (chmod +x): otherwise, with LD_PRELOAD alone, "
			       "the collector is a copy of the program and may keep its file busy",
			       "library: %s is not executable", path);
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_LACK,
			       "put " VMT_LIBRARY_NAME " beside vmtrace, in ../lib from there, or "
			       "where VMTRACE_LIB says",
			       "library: %s", err.text);
}

static void
check_libunwind(struct vmt_doctor *doctor)
{
	void *handle = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);

	if (handle) {
		dlclose(handle);
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "libunwind: found, as a fallback");
	} else {
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "install libunwind8, or put libunwind.so.8 beside the library",
			       "libunwind: missing; stacks come from .eh_frame, else from frame "
			       "pointers");
	}
}

/* The directory that traces go to; NULL when out of memory. */
static char *
output_directory(void)
{
	const char *output = getenv("VMTRACE_OUTPUT");
	const char *slash = output ? strrchr(output, '/') : NULL;

	if (!slash)
		return strdup(".");
	return strndup(output, slash == output ? 1 : (size_t)(slash - output));
}

/* Whether blocks can be had in the directory: 0 or an errno. Leaves nothing behind. */
static int
try_directory(const char *directory)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int code;

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		return access(directory, W_OK | X_OK) == 0 ? 0 : errno;
	if (fd < 0)
		return errno;
	code = posix_fallocate(fd, 0, 1 << 20);
	close(fd);
	return code;
}

void
vmt_doctor_output(struct vmt_doctor *doctor)
{
	char *directory = output_directory();
	struct statvfs space;
	char text[VMT_UNITS_BYTES];
	int code;

	if (!directory)
		return;
	code = try_directory(directory);
	if (code)
		vmt_doctor_say(doctor, VMT_DOCTOR_LACK,
			       "name a writable place with --output or VMTRACE_OUTPUT",
			       "output: %s: %s", directory, strerror(code));
	else if (statvfs(directory, &space) == 0 &&
		 space.f_bavail * space.f_frsize < TRACE_HEAD_BYTES)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "free some space, or name another place with --output",
			       "output: %s has only %s left", directory,
			       vmt_units_bytes(text, space.f_bavail * space.f_frsize));
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "output: %s is writable", directory);
	free(directory);
}

void
vmt_doctor_host(struct vmt_doctor *doctor)
{
	check_residency(doctor);
	check_clock(doctor);
	check_library(doctor);
	check_libunwind(doctor);
	vmt_doctor_touch(doctor);
}
