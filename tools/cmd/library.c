#include "tools/cmd/library.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Debian's directory of an architecture's libraries, where the build knows it. */
#ifndef VMT_MULTIARCH
#define VMT_MULTIARCH ""
#endif
static const char multiarch_place[] = "../lib/" VMT_MULTIARCH "/vmtrace/";

static bool
is_library(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, R_OK) == 0;
}

static int
check_expressible(const char *path, struct vmt_err *err)
{
	if (!strpbrk(path, " \t\n:"))
		return 0;
	return vmt_err_set(err, ENOTSUP,
			   "%s: LD_PRELOAD can't name a path with a space or a colon; copy the "
			   "library elsewhere and set VMTRACE_LIB",
			   path);
}

static int
find_by_variable(const char *wanted, char path[PATH_MAX], struct vmt_err *err)
{
	if (!realpath(wanted, path) || !is_library(path))
		return vmt_err_set(err, ENOENT, "VMTRACE_LIB=%s: no such library", wanted);
	return check_expressible(path, err);
}

int
vmt_library_find(char path[PATH_MAX], struct vmt_err *err)
{
	static const char *const places[] = {"", "../lib/", "../lib64/", "../lib/vmtrace/",
					     multiarch_place};
	const char *wanted = getenv("VMTRACE_LIB");
	char directory[PATH_MAX];
	ssize_t length;

	if (wanted && *wanted)
		return find_by_variable(wanted, path, err);
	length = readlink("/proc/self/exe", directory, sizeof(directory) - 1);
	if (length < 0)
		return vmt_err_set(err, errno, "/proc/self/exe: %s", strerror(errno));
	directory[length] = '\0';
	*strrchr(directory, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char candidate[2 * PATH_MAX];

		snprintf(candidate, sizeof(candidate), "%s/%s%s", directory, places[i],
			 VMT_LIBRARY_NAME);
		if (is_library(candidate) && realpath(candidate, path))
			return check_expressible(path, err);
	}
	return vmt_err_set(err, ENOENT, "%s is neither in %s nor in %s/../lib; set VMTRACE_LIB",
			   VMT_LIBRARY_NAME, directory, directory);
}
