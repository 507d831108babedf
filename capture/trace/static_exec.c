#include "capture/trace/static_exec.h"

#include "base/exec_request.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/core/message.h"
#include "capture/core/recording.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define PATIENCE_NS UINT64_C(300000000)
#define PROGRAM_HEADERS 32u
#define DYNAMIC_ENTRIES 64u
#define SCRIPT_BYTES 256u /* that the kernel looks at (BINPRM_BUF_SIZE) */
#define SCRIPTS_MOST 5u	  /* of which one is the interpreter of the other (exec_binprm) */
#define FLAG_POSITION_INDEPENDENT UINT64_C(0x08000000) /* DF_1_PIE */

static bool
read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
	return vmt_sys_call4(SYS_pread64, fd, to, bytes, offset) == (long)bytes;
}

/* A shared object, as the loader is one, has no such flag. */
static bool
is_program(int fd, const Elf64_Phdr *dynamic)
{
	Elf64_Dyn entries[DYNAMIC_ENTRIES];
	uint64_t count = dynamic->p_filesz / sizeof(entries[0]);

	count = count < DYNAMIC_ENTRIES ? count : DYNAMIC_ENTRIES;
	if (!read_at(fd, entries, count * sizeof(entries[0]), dynamic->p_offset))
		return false;
	for (uint64_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++)
		if (entries[i].d_tag == DT_FLAGS_1)
			return (entries[i].d_un.d_val & FLAG_POSITION_INDEPENDENT) != 0;
	return false;
}

/* Who is traced would not gain them. */
static bool
gains_privileges(int fd)
{
	struct stat status;
	char capabilities[64];

	return vmt_sys_call2(SYS_fstat, fd, &status) < 0 ||
	       (status.st_mode & (S_ISUID | S_ISGID)) != 0 ||
	       (!vmt_recording.is_filtered && /* a filter may kill for an unusual call */
		vmt_sys_call4(SYS_fgetxattr, fd, "security.capability", capabilities,
			      sizeof(capabilities)) > 0);
}

static bool
is_static(int fd)
{
	Elf64_Ehdr header;
	Elf64_Phdr segments[PROGRAM_HEADERS];
	const Elf64_Phdr *dynamic = NULL;

	if (gains_privileges(fd) || !read_at(fd, &header, sizeof(header), 0) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
	    header.e_phentsize != sizeof(segments[0]) || header.e_phnum > PROGRAM_HEADERS ||
	    !read_at(fd, segments, header.e_phnum * sizeof(segments[0]), header.e_phoff))
		return false;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		if (segments[i].p_type == PT_INTERP)
			return false;
		if (segments[i].p_type == PT_DYNAMIC)
			dynamic = &segments[i];
	}
	return header.e_type == ET_EXEC ||
	       (header.e_type == ET_DYN && dynamic && is_program(fd, dynamic));
}

/* The program that the kernel runs a script with; NULL: it is no script, or names none. */
static const char *
read_interpreter(int fd, char line[SCRIPT_BYTES])
{
	long got = vmt_sys_call4(SYS_pread64, fd, line, SCRIPT_BYTES - 1, 0);
	char *at = line + 2;
	char *end;

	if (got < 3 || line[0] != '#' || line[1] != '!')
		return NULL;
	line[got] = '\0';
	while (*at == ' ' || *at == '\t')
		at++;
	end = at;
	while (*end && *end != ' ' && *end != '\t' && *end != '\n')
		end++;
	*end = '\0';
	return *at ? at : NULL;
}

/* The path is the kernel's alone to read: it may point nowhere. Negative errno: it is no file.
 * What has a status but can't be found is the directory itself: the path is "". */
static int
open_file(int directory, const char *path, bool *is_opened)
{
	struct stat status;
	int fd;

	*is_opened = false;
	if (!path)
		return directory;
	if (vmt_sys_call4(SYS_newfstatat, directory, path, &status, AT_EMPTY_PATH) < 0 ||
	    !S_ISREG(status.st_mode))
		return -ENOEXEC;
	fd = (int)vmt_sys_call4(SYS_openat, directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	*is_opened = fd >= 0;
	return fd == -ENOENT ? directory : fd;
}

/* Without a path it is the directory itself. */
static bool
is_static_file(int directory, const char *path)
{
	char line[SCRIPT_BYTES];

	for (unsigned i = 0; i <= SCRIPTS_MOST; i++) {
		bool is_opened;
		int fd = open_file(directory, path, &is_opened);
		bool found;

		if (fd < 0)
			return false;
		path = read_interpreter(fd, line);
		found = !path && is_static(fd);
		if (is_opened)
			vmt_sys_close(fd);
		if (found || !path)
			return found;
		directory = AT_FDCWD;
	}
	return false;
}

/* With room on the stack that others do not need. */
__attribute__((noinline)) static bool
is_static_found(const struct vmt_static_exec *exec)
{
	char path[VMT_STATIC_EXEC_PATH_BYTES];

	return exec->search(exec->path, path) && is_static_file(AT_FDCWD, path);
}

/* A path that is searched for is read by libc, too, before any system call. */
static bool
loads_nothing(const struct vmt_static_exec *exec)
{
	if (exec->search && exec->path &&
	    !vmt_text_find_byte(exec->path, vmt_text_string_bytes(exec->path), '/'))
		return is_static_found(exec);
	return is_static_file(exec->directory, exec->path);
}

/* As an exit waits for the last snapshot, where more was asked for. */
static uint64_t
patience_ns(void)
{
	return vmt_config.exit_wait_ns > PATIENCE_NS ? vmt_config.exit_wait_ns : PATIENCE_NS;
}

/* By this process's number the server finds it, and nobody else. */
static bool
is_known_by_number(const struct vmt_session *session)
{
	uint64_t own = vmt_procfs_pid_namespace();

	return own != 0 && own == session->pid_namespace;
}

static struct vmt_exec_asker
this_thread(void)
{
	return (struct vmt_exec_asker){.pid = (uint32_t)vmt_sys_call0(SYS_getpid),
				       .thread = (uint32_t)vmt_sys_call0(SYS_gettid)};
}

/* One line for all of a session. `vmtrace record` has a line of its own at its end. */
static void
say_missed(struct vmt_session *session)
{
	uint32_t said = 0;

	if (vmt_atomic_load_relaxed(&session->exec_server) != VMT_SESSION_SERVER_RUNS &&
	    !vmt_recording.is_filtered && vmt_atomic_cas(&session->exec_said, &said, 1))
		vmt_message_say("a program that loads no library is not recorded",
				"it may not be traced, or the recorder could not be put there in "
				"time");
}

static struct vmt_session_slot *
ask(struct vmt_session *session, const struct vmt_exec_asker *asker)
{
	struct vmt_session_slot *slot = NULL;

	if (vmt_exec_request_has_no_server(session))
		vmt_exec_request_count_missed(session, asker->pid);
	else
		slot = vmt_exec_request_make(session, asker, patience_ns());
	if (!slot)
		say_missed(session);
	return slot;
}

/* While visiting. */
static struct vmt_session_slot *
announce(const struct vmt_static_exec *exec)
{
	struct vmt_session *session = vmt_recording.session;
	struct vmt_exec_asker asker;

	if (!session ||
	    !(vmt_exec_request_is_served(session) || vmt_exec_request_has_no_server(session)) ||
	    !loads_nothing(exec) || !is_known_by_number(session))
		return NULL;
	asker = this_thread();
	asker.spawns = exec->spawns;
	return ask(session, &asker);
}

struct vmt_session_slot *
vmt_static_exec_announce(const struct vmt_static_exec *exec)
{
	struct vmt_session_slot *slot;

	if (!vmt_config.follow_exec || !vmt_guard_syscalls_allowed() || !vmt_guard_visit())
		return NULL;
	slot = announce(exec);
	vmt_guard_end_visit();
	return slot;
}

/* Where the session has gone, the server lets the process go when its own patience is over. */
void
vmt_static_exec_failed(struct vmt_session_slot *slot)
{
	struct vmt_exec_asker asker;

	if (!slot || !vmt_guard_visit())
		return;
	asker = this_thread();
	if (vmt_recording.session)
		vmt_exec_request_fail(vmt_recording.session, slot, &asker);
	vmt_guard_end_visit();
}

struct vmt_session_slot *
vmt_static_exec_find(void)
{
	struct vmt_session_slot *slot = NULL;
	struct vmt_exec_asker asker;

	if (!vmt_guard_syscalls_allowed() || !vmt_guard_visit())
		return NULL;
	asker = this_thread();
	if (vmt_recording.session)
		slot = vmt_exec_request_find(vmt_recording.session, &asker);
	vmt_guard_end_visit();
	return slot;
}
