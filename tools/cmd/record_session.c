#include "tools/cmd/record_session.h"

#include "base/procfs.h"
#include "base/shm_fallback.h"
#include "base/ticks.h"
#include "tools/cmd/launch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* The session carries at most VMT_SESSION_PATH_BYTES; names grow by %n, %p and a suffix. */
#define OUTPUT_MAX_BYTES (VMT_SESSION_PATH_BYTES - 40u)
#define PREFIX "VMTRACE_"

/* The program may change its directory before a child opens a trace: the name must be absolute. */
static int
choose_output(struct vmt_record_session *session, const struct vmt_record_settings *wanted,
	      struct vmt_err *err)
{
	const char *template = vmt_record_settings_text(wanted, VMT_SETTING_OUTPUT);
	char here[PATH_MAX] = "";
	int length;

	if (!template || !*template)
		template = vmt_settings[VMT_SETTING_OUTPUT].fallback;
	if (*template != '/' && !getcwd(here, sizeof(here)))
		return vmt_err_set(err, errno, "current directory: %s", strerror(errno));
	length = snprintf(session->output, sizeof(session->output), "%s%s%s", here,
			  *template == '/' ? "" : "/", template);
	if (length < 0 || (size_t)length > OUTPUT_MAX_BYTES)
		return vmt_err_set(err, ENAMETOOLONG, "%s: longer than %u bytes; see --output",
				   template, OUTPUT_MAX_BYTES);
	return 0;
}

static int
make_session(struct vmt_record_session *session, struct vmt_err *err)
{
	const char *slash = strrchr(session->output, '/');
	uint64_t random_id = 0;
	int result;

	assert(slash);
	if (getrandom(&random_id, sizeof(random_id), GRND_NONBLOCK) < 0)
		random_id = vmt_ticks_monotonic_ns();
	snprintf(session->path, sizeof(session->path), "%.*s/.vmtrace-%d-%08" PRIx32 ".session",
		 (int)(slash - session->output), session->output, (int)getpid(),
		 (uint32_t)random_id);
	result = vmt_session_create(session->path, &session->shared);
	if (vmt_shm_fallback_is_wanted(result))
		result = vmt_session_create_aside(session->path, sizeof(session->path),
						  (uint32_t)getpid(), random_id, &session->shared);
	if (result < 0) {
		vmt_err_set(err, -result,
			    "%.*s/: %s; the trace goes there, name another place with --output",
			    (int)(slash - session->output), session->output, strerror(-result));
		session->path[0] = '\0';
	}
	return result;
}

/* A plain name given on the command line is replaced, by the first trace that is there; templates
 * never replace anything. */
static int
find_replaced(struct vmt_record_session *session, const struct vmt_record_settings *wanted,
	      struct vmt_err *err)
{
	struct stat status;

	if (!wanted->options.values[VMT_SETTING_OUTPUT] || strchr(session->output, '%') ||
	    lstat(session->output, &status) < 0)
		return 0;
	if (!S_ISREG(status.st_mode))
		return vmt_err_set(err, EEXIST, "%s: exists and is not a regular file",
				   session->output);
	session->shared->replaced_inode = status.st_ino;
	return 0;
}

int
vmt_record_session_open(struct vmt_record_session *session,
			const struct vmt_record_settings *wanted, struct vmt_err *err)
{
	int result;

	session->path[0] = '\0';
	session->shared = NULL;
	result = choose_output(session, wanted, err);
	if (result == 0)
		result = make_session(session, err);
	return session->shared ? find_replaced(session, wanted, err) : result;
}

void
vmt_record_session_lend(const struct vmt_record_session *session, uint32_t pid)
{
	struct vmt_procfs_status status;
	int fd = vmt_procfs_open(pid, "status");
	bool is_known = fd >= 0 && vmt_procfs_read_status(fd, &status);

	if (fd >= 0)
		close(fd);
	if (is_known && status.file_user <= UINT32_MAX)
		(void)!lchown(session->path, (uid_t)status.file_user, (gid_t)-1);
}

void
vmt_record_session_export(const struct vmt_record_session *session)
{
	setenv(vmt_settings[VMT_SETTING_OUTPUT].variable, session->output, 1);
	setenv(VMT_SESSION_ENV, session->path, 1);
}

char *
vmt_record_session_variables(size_t *bytes)
{
	char *variables, *at;

	*bytes = 1;
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, PREFIX, strlen(PREFIX)) == 0)
			*bytes += strlen(*entry) + 1;
	variables = at = calloc(1, *bytes);
	for (char **entry = environ; at && *entry; entry++)
		if (strncmp(*entry, PREFIX, strlen(PREFIX)) == 0)
			at = stpcpy(at, *entry) + 1;
	return variables;
}

void
vmt_record_session_close(struct vmt_record_session *session)
{
	if (session->shared)
		munmap(session->shared, sizeof(*session->shared));
	if (session->path[0])
		unlink(session->path);
	session->shared = NULL;
	session->path[0] = '\0';
}
