#include "tools/cmd/top_attach.h"

#include "base/procfs.h"
#include "base/ticks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define MOST_BEGIN_NS (60000 * NS_PER_MS)
#define MOST_END_NS (10000 * NS_PER_MS)
#define LOOK_MS 5
#define SAID_BYTES 4096u

/* The keeper's last word, where the recorder ended by itself. */
#define ENDED "\nrecorder ended\n"

struct vmt_top_attach {
	uint32_t pid;
	pid_t keeper;
	bool has_begun;
	int said; /* what the recorder says on stderr: memory */
	char directory[PATH_MAX];
	char trace[PATH_MAX + 32];
};

/* -- the keeper, and what it keeps ---------------------------------------------------------------
 */

__attribute__((noreturn)) static void
become_recorder(const struct vmt_top_attach *attach, pid_t keeper)
{
	char pid[16];
	const char *argv[] = {"vmtrace", "record", "-p", pid, "-o", attach->trace, NULL};
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	snprintf(pid, sizeof(pid), "%" PRIu32, attach->pid);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == keeper && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
	    dup2(null, STDOUT_FILENO) >= 0 && dup2(attach->said, STDERR_FILENO) >= 0)
		execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(1);
}

static void
remove_directory(const struct vmt_top_attach *attach)
{
	(void)unlink(attach->trace);
	(void)rmdir(attach->directory);
}

/* Until TERM comes, by who asks for the end or by the kernel when that one is gone. */
__attribute__((noreturn)) static void
keep(const struct vmt_top_attach *attach, pid_t parent, const sigset_t *waited)
{
	pid_t self = getpid();
	pid_t recorder;
	int number = 0;

	(void)setpgid(0, 0); /* Ctrl-C is not for it */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	recorder = fork();
	if (recorder == 0)
		become_recorder(attach, self);
	while (sigwait(waited, &number) != 0 || number != SIGTERM)
		if (recorder < 0 || waitpid(recorder, NULL, WNOHANG) == recorder) {
			(void)!write(attach->said, ENDED, strlen(ENDED));
			recorder = 0;
		}
	if (recorder > 0 && kill(recorder, SIGTERM) == 0)
		(void)waitpid(recorder, NULL, 0);
	remove_directory(attach);
	_exit(0);
}

/* -- who watches ---------------------------------------------------------------------------------
 */

/* The process makes files in it, too. */
static void
lend(const struct vmt_top_attach *attach)
{
	struct vmt_procfs_status status;
	int fd = vmt_procfs_open(attach->pid, "status");

	if (fd < 0)
		return;
	if (vmt_procfs_read_status(fd, &status) && status.file_user <= UINT32_MAX)
		(void)!lchown(attach->directory, (uid_t)status.file_user, (gid_t)-1);
	close(fd);
}

static int
make_places(struct vmt_top_attach *attach, struct vmt_err *err)
{
	const char *above = getenv("TMPDIR");

	snprintf(attach->directory, sizeof(attach->directory), "%s/vmtrace-top-XXXXXX",
		 above && *above == '/' ? above : "/tmp");
	if (!mkdtemp(attach->directory))
		return vmt_err_set(err, errno, "%s: %s", attach->directory, strerror(errno));
	snprintf(attach->trace, sizeof(attach->trace), "%s/%" PRIu32 ".vmt", attach->directory,
		 attach->pid);
	lend(attach);
	attach->said = memfd_create("vmtrace-top", MFD_CLOEXEC);
	if (attach->said < 0 || fcntl(attach->said, F_SETFL, O_APPEND) < 0)
		return vmt_err_set(err, errno, "memory for messages: %s", strerror(errno));
	return 0;
}

static int
start(struct vmt_top_attach *attach, struct vmt_err *err)
{
	pid_t self = getpid();
	sigset_t waited, before;

	sigemptyset(&waited);
	sigaddset(&waited, SIGTERM);
	sigaddset(&waited, SIGCHLD);
	sigprocmask(SIG_BLOCK, &waited, &before);
	attach->keeper = fork();
	if (attach->keeper == 0)
		keep(attach, self, &waited);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (attach->keeper < 0) {
		remove_directory(attach);
		return vmt_err_set(err, errno, "fork: %s", strerror(errno));
	}
	return 0;
}

static void
read_said(const struct vmt_top_attach *attach, char said[SAID_BYTES])
{
	ssize_t got = pread(attach->said, said, SAID_BYTES - 1, 0);

	said[got > 0 ? got : 0] = '\0';
}

/* 1: its calls are recorded; 0: not yet; or a negative errno and a message. */
static int
look(const struct vmt_top_attach *attach, struct vmt_err *err)
{
	char said[SAID_BYTES];
	const char *line;

	read_said(attach, said);
	if (strstr(said, "vmtrace: recording process ") && strchr(said, '\n'))
		return 1;
	line = strstr(said, "can't be recorded: ");
	if (!strchr(said, '\n') || (!line && !strstr(said, ENDED)))
		return 0;
	line = line ? said : strncmp(said, ENDED, strlen(ENDED)) == 0 ? "the recorder ended" : said;
	line += strncmp(line, "vmtrace: ", 9) == 0 ? 9 : 0;
	return vmt_err_set(err, EPERM, "%.*s", (int)strcspn(line, "\n"), line);
}

static int
wait_for_begin(const struct vmt_top_attach *attach, struct vmt_err *err)
{
	uint64_t until_ns = vmt_ticks_monotonic_ns() + MOST_BEGIN_NS;
	int result;

	while ((result = look(attach, err)) == 0) {
		if (vmt_ticks_monotonic_ns() > until_ns)
			return vmt_err_set(err, ETIME,
					   "process %" PRIu32 ": its recording does not begin",
					   attach->pid);
		(void)poll(NULL, 0, LOOK_MS);
	}
	return result < 0 ? result : 0;
}

int
vmt_top_attach_begin(struct vmt_top_attach **out, uint32_t pid, struct vmt_err *err)
{
	struct vmt_top_attach *attach = calloc(1, sizeof(*attach));
	int result;

	*out = NULL;
	if (!attach)
		return vmt_err_set(err, ENOMEM, "out of memory");
	attach->pid = pid;
	attach->said = -1;
	result = make_places(attach, err);
	if (result == 0)
		result = start(attach, err);
	if (result == 0)
		result = wait_for_begin(attach, err);
	attach->has_begun = result == 0;
	if (result == 0)
		*out = attach;
	else
		vmt_top_attach_end(attach);
	return result;
}

const char *
vmt_top_attach_trace(const struct vmt_top_attach *attach)
{
	return attach->trace;
}

/* Not that it began, and not where a trace lies that is gone. */
static void
say_rest(const struct vmt_top_attach *attach)
{
	char said[SAID_BYTES], of[32];
	char *next;

	snprintf(of, sizeof(of), "process %" PRIu32, attach->pid);
	read_said(attach, said);
	for (char *line = said; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (strstr(line, of) && !strstr(line, "vmtrace: recording ") &&
		    !strstr(line, "can't be recorded"))
			fprintf(stderr, "%s\n", line);
	}
}

static bool
has_ended(const struct vmt_top_attach *attach)
{
	uint64_t until_ns = vmt_ticks_monotonic_ns() + MOST_END_NS;

	while (waitpid(attach->keeper, NULL, WNOHANG) == 0) {
		if (vmt_ticks_monotonic_ns() > until_ns)
			return false;
		(void)poll(NULL, 0, LOOK_MS);
	}
	return true;
}

void
vmt_top_attach_end(struct vmt_top_attach *attach)
{
	if (!attach)
		return;
	if (attach->keeper > 0) {
		(void)kill(attach->keeper, SIGTERM);
		if (!has_ended(attach))
			fprintf(stderr,
				"vmtrace: process %" PRIu32
				" is not left yet; process %d goes on trying\n",
				attach->pid, (int)attach->keeper);
		if (attach->has_begun)
			say_rest(attach);
	}
	if (attach->said >= 0)
		close(attach->said);
	free(attach);
}
