#include "tools/cmd/record_static.h"

#include "blob/blob_embed.h"
#include "inject/static_start.h"
#include "tools/read/elf/preloadable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "VMTRACE_"

struct attempt {
	const char *command;
	char *settings;
	size_t settings_bytes;
};

bool
vmt_record_static_is_one(const char *command)
{
	struct vmt_preloadable program;
	struct vmt_err err = {""};

	return vmt_preloadable_inspect(&program, command, &err) == 0 &&
	       vmt_preloadable_is_static(&program);
}

/* Each variable of the library's with its NUL, and one NUL more. */
static int
gather_settings(struct attempt *attempt, struct vmt_err *err)
{
	size_t bytes = 1;
	char *at;

	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, PREFIX, strlen(PREFIX)) == 0)
			bytes += strlen(*entry) + 1;
	attempt->settings = calloc(1, bytes);
	if (!attempt->settings)
		return vmt_err_set(err, ENOMEM, "out of memory");
	attempt->settings_bytes = bytes;
	at = attempt->settings;
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, PREFIX, strlen(PREFIX)) == 0)
			at = stpcpy(at, *entry) + 1;
	return 0;
}

static void
complain(const char *command, const char *why)
{
	fprintf(stderr, "vmtrace: %s is not recorded: %s\n", command, why);
}

static int
inject(void *context, pid_t pid)
{
	const struct attempt *attempt = context;
	struct vmt_static_start start = {
	    .pid = pid,
	    .blob = vmt_blob_embed,
	    .blob_bytes = (uintptr_t)vmt_blob_embed_end - (uintptr_t)vmt_blob_embed,
	    .settings = attempt->settings,
	    .settings_bytes = attempt->settings_bytes,
	};

	if (!vmt_static_start_run(&start) && start.why[0] != '\0')
		complain(attempt->command, start.why);
	return start.signal;
}

int
vmt_record_static_start(struct vmt_launch *launch, char **argv, int *status, struct vmt_err *err)
{
	struct attempt attempt = {.command = argv[0]};
	char why[128];
	int untraced = 0;
	int result = gather_settings(&attempt, err);

	if (result < 0)
		return result;
	result = vmt_launch_start_stopped(launch, argv, inject, &attempt, &untraced, status, err);
	free(attempt.settings);
	if (untraced != 0) {
		snprintf(why, sizeof(why), "it may not be traced: %s", strerror(untraced));
		complain(argv[0], why);
	}
	return result;
}
