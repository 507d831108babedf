#include "tools/cmd/record_static.h"

#include "base/exec_request.h"
#include "blob/blob_embed.h"
#include "inject/static_children.h"
#include "inject/static_start.h"
#include "inject/tracee.h"
#include "tools/cmd/record_session.h"
#include "tools/read/elf/preloadable.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

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

	vmt_tracee_leave_end(pid);
	if (!vmt_static_start_run(&start) && start.why[0] != '\0')
		complain(attempt->command, start.why);
	return start.signal;
}

/* What is done to the program, and a filter of system calls may kill for. */
_Noreturn static void
try_to_trace(void)
{
	char byte = 1;
	char copy;
	struct iovec from = {&byte, 1};
	struct iovec to = {&copy, 1};

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != 1 ||
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(errno);
	_exit(0);
}

/* Whether that may be done, tried where nothing is lost. 0, or an errno; EACCES: who does it is
 * killed. */
static int
find_refusal(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		try_to_trace();
	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EACCES;
}

static void
complain_of_refusal(const char *command, int refusal)
{
	char why[128];

	snprintf(why, sizeof(why), "it may not be traced: %s", strerror(refusal));
	complain(command, why);
}

int
vmt_record_static_start(struct vmt_launch *launch, char **argv, int *status, struct vmt_err *err)
{
	struct attempt attempt = {.command = argv[0]};
	int untraced = find_refusal();
	int result;

	if (untraced != 0) {
		complain_of_refusal(argv[0], untraced);
		return vmt_launch_start(launch, argv, status, err);
	}
	attempt.settings = vmt_record_session_variables(&attempt.settings_bytes);
	if (!attempt.settings)
		return vmt_err_set(err, ENOMEM, "out of memory");
	result = vmt_launch_start_stopped(launch, argv, inject, &attempt, &untraced, status, err);
	free(attempt.settings);
	if (untraced != 0)
		complain_of_refusal(argv[0], untraced);
	return result;
}

struct vmt_record_static_server {
	pthread_t thread;
	struct vmt_static_children children;
};

static void
complain_of_child(void *context, uint32_t pid, const char *why)
{
	(void)context;
	fprintf(stderr, "vmtrace: process %u is not recorded: %s\n", pid, why);
}

static void *
serve(void *server)
{
	vmt_static_children_serve(&((struct vmt_record_static_server *)server)->children);
	return NULL;
}

/* Signals are for the thread that launches. */
static int
start_thread(struct vmt_record_static_server *server)
{
	sigset_t all;
	sigset_t before;
	int result;

	/* Who asks before the thread gets a processor waits for it. */
	vmt_atomic_store_release(&server->children.session->exec_server, VMT_SESSION_SERVER_RUNS);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&server->thread, NULL, serve, server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result != 0)
		vmt_atomic_store_release(&server->children.session->exec_server,
					 VMT_SESSION_SERVER_NONE);
	return result;
}

struct vmt_record_static_server *
vmt_record_static_serve(struct vmt_session *session)
{
	struct vmt_record_static_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->children = (struct vmt_static_children){
	    .session = session,
	    .blob = vmt_blob_embed,
	    .blob_bytes = (uintptr_t)vmt_blob_embed_end - (uintptr_t)vmt_blob_embed,
	    .complain = complain_of_child,
	};
	if (server->children.blob_bytes != 0 && start_thread(server) == 0)
		return server;
	free(server);
	return NULL;
}

void
vmt_record_static_end(struct vmt_record_static_server *server)
{
	if (!server)
		return;
	vmt_atomic_store_release(&server->children.stop, 1);
	vmt_exec_request_wake(server->children.session);
	pthread_join(server->thread, NULL);
	vmt_atomic_store_release(&server->children.session->exec_server, VMT_SESSION_SERVER_NONE);
	free(server);
}
