#include "base/procfs.h"
#include "tools/cmd/doctor.h"
#include "tools/cmd/library.h"

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

/* 1 = the library is mapped there, 0 = not, negative errno = can't be read. */
static int
find_library(uint32_t pid)
{
	char path[64];
	char line[2 * PATH_MAX];
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/maps", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, "/" VMT_LIBRARY_NAME) != NULL;
	if (!found && ferror(file))
		found = -EIO;
	fclose(file);
	return found;
}

static void
check_loaded(struct vmt_doctor *doctor, uint32_t pid)
{
	int found = find_library(pid);

	doctor->needs_restart = found == 0;
	if (found > 0)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL, "%s is loaded in process %" PRIu32,
			       VMT_LIBRARY_NAME, pid);
	else if (found == 0)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "restart it under vmtrace record, or with the variables that "
			       "vmtrace env prints",
			       "%s is not loaded in process %" PRIu32
			       ": this run can't be recorded",
			       VMT_LIBRARY_NAME, pid);
	else
		vmt_doctor_say(doctor, VMT_DOCTOR_LACK,
			       "run doctor as the process's user, or as root",
			       "/proc/%" PRIu32 "/maps: %s", pid, strerror(-found));
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
	check_loaded(doctor, pid);
	check_pagemap(doctor, pid);
	check_seccomp(doctor, pid);
}
