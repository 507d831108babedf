#include "preload/trace/exec_server.h"

#include "base/exec_request.h"
#include "base/sys.h"
#include "base/text.h"
#include "inject/static_children.h"
#include "preload/trace/close_descriptors.h"
#include "preload/trace/own_file.h"
#include "preload/trace/unmap_files.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define IDLE_NS UINT64_C(2000000000)
#define FAILURES_MOST 3u

/* Exit statuses of the child. */
#define SERVED 0
#define FAILED 1

static void
complain(void *context, uint32_t pid, const char *why)
{
	(void)context;
	(void)pid;
	(void)why;
}

static _Noreturn void
leave(int status)
{
	for (;;)
		vmt_sys_call1(SYS_exit_group, status);
}

/* Too large for a stack, and not to be a part of every program. NULL: there is no memory. */
static struct vmt_static_children *
make_children(void)
{
	void *memory = vmt_sys_mmap(NULL, sizeof(struct vmt_static_children),
				    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return vmt_sys_failed(memory) ? NULL : memory;
}

/* In the child. */
static _Noreturn void
run(const struct vmt_exec_server *server)
{
	struct vmt_static_children *children = make_children();
	struct vmt_own_file_blob blob = vmt_own_file_map_blob(server->library);

	vmt_close_descriptors_from(0);
	if (!children || blob.count == 0)
		leave(FAILED);
	vmt_unmap_files_beside(server->session);
	*children = (struct vmt_static_children){
	    .session = server->session,
	    .blob = blob.bytes,
	    .blob_bytes = blob.count,
	    .complain = complain,
	    .session_path = server->session_path[0] ? server->session_path : NULL,
	    .idle_ns = IDLE_NS,
	};
	vmt_static_children_serve(children);
	/* Who has asked meanwhile gets another one. */
	vmt_session_wake(server->session);
	leave(SERVED);
}

/* What a server that ended has left: who was seized by it runs on, unrecorded. */
static void
free_slots(struct vmt_session *session)
{
	uint32_t used = vmt_session_slots_used(session);

	for (uint32_t i = 0; i < used; i++) {
		struct vmt_session_slot *slot = &session->slots[i];
		uint32_t state = vmt_atomic_load_acquire(&slot->state);
		uint32_t pid = vmt_atomic_load_relaxed(&slot->pid);

		if ((state == VMT_SESSION_EXEC_SEIZED || state == VMT_SESSION_EXEC_FAILED) &&
		    vmt_session_release(slot, pid))
			vmt_exec_request_count_missed(session, pid);
	}
}

static void
give_up(struct vmt_exec_server *server)
{
	vmt_atomic_store_release(&server->session->exec_server, VMT_SESSION_SERVER_FAILED);
}

static void
judge(struct vmt_exec_server *server, int status)
{
	server->pid = 0;
	free_slots(server->session);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SERVED)
		return;
	if (++server->failures >= FAILURES_MOST ||
	    (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS))
		give_up(server);
}

static void
start(struct vmt_exec_server *server)
{
	long pid = vmt_sys_call6(SYS_clone, 0, 0, 0, 0, 0, 0);

	if (pid == 0)
		run(server);
	if (pid > 0)
		server->pid = (uint32_t)pid;
	else if (++server->failures >= FAILURES_MOST)
		give_up(server);
}

void
vmt_exec_server_begin(struct vmt_exec_server *server, struct vmt_session *session,
		      const char *session_path, int session_fd)
{
	struct vmt_text_out out;
	bool fits = true;

	server->session = session;
	out = vmt_text_out_begin(server->session_path, sizeof(server->session_path));
	if (session_path)
		vmt_text_put(&out, session_path);
	else
		fits = vmt_session_path_of(server->session_path, sizeof(server->session_path),
					   vmt_atomic_load_relaxed(&session->held_by), session_fd);
	if (!fits || out.overflow)
		server->session_path[0] = '\0';
}

void
vmt_exec_server_attend(void *context)
{
	struct vmt_exec_server *server = context;
	int status = 0;

	if (server->pid != 0 && vmt_sys_call4(SYS_wait4, server->pid, &status, __WALL | WNOHANG,
					      NULL) == (long)server->pid)
		judge(server, status);
	if (server->pid == 0 && !vmt_exec_request_has_no_server(server->session) &&
	    vmt_exec_request_next(server->session))
		start(server);
}

void
vmt_exec_server_end(struct vmt_exec_server *server)
{
	int status;

	if (server->pid == 0)
		return;
	vmt_exec_request_wake(server->session);
	while (vmt_sys_call4(SYS_wait4, server->pid, &status, __WALL, NULL) == -EINTR)
		continue;
	server->pid = 0;
}
