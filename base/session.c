#include "base/session.h"

#include "base/pages.h"
#include "base/prealloc.h"
#include "base/procfs.h"
#include "base/shm_fallback.h"
#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* Linux 6.3 */
#endif

/* What maps says of it begins with this, behind /memfd: */
#define NAMELESS "vmtrace.session"
#define LINK_BYTES 64u

static const char nameless_link[] = "/memfd:" NAMELESS;
static const char processes[] = "/proc/";

static void
begin(struct vmt_session *session)
{
	memcpy(session->magic, VMT_SESSION_MAGIC, sizeof(session->magic));
	session->pid_namespace = vmt_procfs_pid_namespace();
	vmt_atomic_store_release(&session->version, VMT_SESSION_VERSION);
}

int
vmt_session_create(const char *path, struct vmt_session **session)
{
	int fd = vmt_sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	void *base = NULL;
	int result;

	if (fd < 0)
		return fd;
	result = vmt_prealloc_map(fd, sizeof(**session), &base);
	vmt_sys_close(fd);
	if (result < 0) {
		vmt_sys_call3(SYS_unlinkat, AT_FDCWD, path, 0);
		return result;
	}
	*session = base;
	begin(*session);
	return 0;
}

/* Gives memory to a part of a nameless session: without it a write could raise SIGBUS, where memory
 * must not be overcommitted. 0 or negative errno. */
static long
back(const void *part, size_t bytes)
{
	uint64_t start = vmt_pages_down((uintptr_t)part, vmt_page_bytes);

	return vmt_prealloc_back((const void *)(uintptr_t)start, (uintptr_t)part + bytes - start);
}

static int
open_nameless(void)
{
	int fd = (int)vmt_sys_call2(SYS_memfd_create, NAMELESS, MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd == -EINVAL)
		fd = (int)vmt_sys_call2(SYS_memfd_create, NAMELESS, MFD_CLOEXEC);
	return fd;
}

/* Maps a file in memory that is still empty. Where single pages can't be taken (before Linux 5.14),
 * all are. */
static int
map_nameless(int fd, struct vmt_session **session)
{
	const size_t first = offsetof(struct vmt_session, slots[VMT_SESSION_BACKED]);
	void *base = NULL;
	int result = vmt_prealloc_lengthen(fd, sizeof(**session));

	if (result == 0)
		result = vmt_prealloc_view(fd, sizeof(**session), &base);
	if (result != 0)
		return result;
	*session = base;
	if (back(base, first) == 0) {
		(*session)->backed = VMT_SESSION_BACKED;
		return 0;
	}
	result = vmt_prealloc_take(fd, sizeof(**session));
	if (result < 0)
		vmt_sys_munmap(base, sizeof(**session));
	return result;
}

int
vmt_session_create_nameless(struct vmt_session **session)
{
	int fd = open_nameless();
	int result = fd < 0 ? fd : map_nameless(fd, session);

	if (result == 0) {
		begin(*session);
		return fd;
	}
	if (fd >= 0)
		vmt_sys_close(fd);
	return result;
}

bool
vmt_session_path_of(char *path, size_t room, uint32_t pid, int fd)
{
	struct vmt_text_out out = vmt_text_out_begin(path, room);

	vmt_text_put(&out, processes);
	vmt_text_put_decimal(&out, pid);
	vmt_text_put(&out, "/fd/");
	vmt_text_put_decimal(&out, (uint64_t)fd);
	return !out.overflow;
}

int
vmt_session_create_aside(char *path, size_t room, uint32_t pid, uint64_t random_id,
			 struct vmt_session **session)
{
	int result = -ENAMETOOLONG;

	for (uint32_t place = 0; result < 0; place++) {
		if (!vmt_shm_fallback_path(path, room, place, pid, random_id, ".session"))
			break;
		result = vmt_session_create(path, session);
	}
	return result;
}

/* Whether this is a descriptor of a nameless session, and not what another process of that number
 * has open: to open that could have effects. */
static bool
is_nameless(const char *path)
{
	struct vmt_text text = vmt_text_of(path, vmt_text_string_bytes(path));
	char link[LINK_BYTES];
	long length;

	if (!vmt_text_skip_string(&text, processes))
		return false;
	length = vmt_sys_call4(SYS_readlinkat, AT_FDCWD, path, link, sizeof(link));
	return length >= (long)sizeof(nameless_link) - 1 &&
	       memcmp(link, nameless_link, sizeof(nameless_link) - 1) == 0;
}

int
vmt_session_attach(const char *path, struct vmt_session **session)
{
	int fd = vmt_sys_open(path, O_RDWR | (is_nameless(path) ? 0 : O_NOFOLLOW), 0);
	int result;

	if (fd < 0)
		return fd;
	result = vmt_session_view(fd, session);
	vmt_sys_close(fd);
	return result;
}

int
vmt_session_view(int fd, struct vmt_session **session)
{
	struct stat status;
	void *base = NULL;
	long result;

	result = vmt_sys_call2(SYS_fstat, fd, &status);
	if (result == 0 && (!S_ISREG(status.st_mode) || status.st_size != (off_t)sizeof(**session)))
		result = -EINVAL;
	if (result == 0)
		result = vmt_prealloc_view(fd, sizeof(**session), &base);
	if (result != 0)
		return (int)result;
	*session = base;
	if (vmt_atomic_load_acquire(&(*session)->version) != VMT_SESSION_VERSION ||
	    memcmp((*session)->magic, VMT_SESSION_MAGIC, sizeof((*session)->magic)) != 0) {
		vmt_sys_munmap(*session, sizeof(**session));
		*session = NULL;
		return -EPROTO;
	}
	return 0;
}

/* Orders the number before the claim that follows: who sees the claim looks as far. */
static void
note_used(struct vmt_session *session, uint32_t used)
{
	uint32_t before = vmt_atomic_load_relaxed(&session->slots_used);

	while (before < used && !vmt_atomic_cas(&session->slots_used, &before, used))
		;
}

struct vmt_session_slot *
vmt_session_claim(struct vmt_session *session)
{
	uint32_t backed = vmt_atomic_load_relaxed(&session->backed);

	for (uint32_t i = 0; i < VMT_SESSION_SLOTS; i++) {
		uint32_t expected = VMT_SESSION_FREE;

		/* Before anybody looks that far. */
		if (backed != 0 && i >= backed && i >= vmt_session_slots_used(session) &&
		    back(&session->slots[i], sizeof(session->slots[i])) < 0)
			return NULL;
		note_used(session, i + 1);
		if (vmt_atomic_load_relaxed(&session->slots[i].state) == VMT_SESSION_FREE &&
		    vmt_atomic_cas(&session->slots[i].state, &expected, VMT_SESSION_CLAIMED))
			return &session->slots[i];
	}
	return NULL;
}

/* No pid in a claimed slot means that its writer has not got that far. */
bool
vmt_session_release(struct vmt_session_slot *slot, uint32_t pid)
{
	if (!vmt_atomic_cas(&slot->pid, &pid, 0))
		return false;
	vmt_atomic_store_release(&slot->state, VMT_SESSION_FREE);
	return true;
}

uint32_t
vmt_session_slots_used(const struct vmt_session *session)
{
	uint32_t used = vmt_atomic_load_acquire(&session->slots_used);

	return used < VMT_SESSION_SLOTS ? used : VMT_SESSION_SLOTS;
}

void
vmt_session_wake(struct vmt_session *session)
{
	vmt_atomic_add_relaxed(&session->wake, 1);
	vmt_sys_call3(SYS_futex, &session->wake, FUTEX_WAKE, INT_MAX);
}

const struct vmt_session_slot *
vmt_session_announce(struct vmt_session *session, uint32_t pid, uint64_t random_id,
		     const char *path)
{
	size_t length = vmt_text_string_bytes(path);
	struct vmt_session_slot *slot = NULL;

	if (length < VMT_SESSION_PATH_BYTES)
		slot = vmt_session_claim(session);
	if (!slot) {
		vmt_atomic_add_relaxed(&session->refused, 1);
		return NULL;
	}
	vmt_atomic_store_relaxed(&slot->pid, pid);
	vmt_atomic_store_relaxed(&slot->random_id, random_id);
	memcpy(slot->path, path, length + 1);
	/* Orders the slot's content before its state. */
	vmt_atomic_store_release(&slot->state, VMT_SESSION_READY);
	vmt_atomic_add_relaxed(&session->traces, 1);
	vmt_session_wake(session);
	return slot;
}

uint64_t *
vmt_session_tell_fork(struct vmt_session *session, uint32_t parent, uint32_t child)
{
	for (uint32_t i = 0; i < VMT_SESSION_FORKS; i++) {
		uint64_t free_entry = 0;

		if (vmt_atomic_load_relaxed(&session->forks[i]) == 0 &&
		    vmt_atomic_cas(&session->forks[i], &free_entry, (uint64_t)parent << 32 | child))
			return &session->forks[i];
	}
	return NULL;
}

bool
vmt_session_take_fork(uint64_t *entry, uint64_t fork)
{
	return vmt_atomic_cas(entry, &fork, 0);
}

static uint64_t *
parted_word(struct vmt_session *session, uint64_t random_id)
{
	return &session->parted[random_id % VMT_SESSION_PARTED];
}

void
vmt_session_part(struct vmt_session *session, uint64_t random_id)
{
	vmt_atomic_store_release(parted_word(session, random_id), random_id);
}

bool
vmt_session_has_parted(struct vmt_session *session, uint64_t random_id)
{
	return vmt_atomic_load_acquire(parted_word(session, random_id)) == random_id;
}

bool
vmt_session_is_announced(const struct vmt_session_slot *slot, uint64_t random_id)
{
	return vmt_atomic_load_acquire(&slot->state) == VMT_SESSION_READY &&
	       vmt_atomic_load_relaxed(&slot->random_id) == random_id;
}

/* Whether the name stands there now. */
static bool
put_name(struct vmt_session_name *entry, const char *name)
{
	uint32_t state = VMT_SESSION_FREE;

	if (vmt_atomic_cas(&entry->state, &state, VMT_SESSION_CLAIMED)) {
		memcpy(entry->name, name, sizeof(entry->name));
		/* Orders the name before its state. */
		vmt_atomic_store_release(&entry->state, VMT_SESSION_READY);
		return true;
	}
	return vmt_atomic_load_acquire(&entry->state) == VMT_SESSION_READY &&
	       memcmp(entry->name, name, sizeof(entry->name)) == 0;
}

void
vmt_session_leave_out(struct vmt_session *session, const char *name)
{
	char padded[VMT_SESSION_NAME_BYTES] = "";
	size_t length = vmt_text_string_bytes(name);

	if (length > sizeof(padded) - 1)
		length = sizeof(padded) - 1;
	memcpy(padded, name, length);
	vmt_atomic_add_relaxed(&session->left_out, 1);
	for (uint32_t i = 0; i < VMT_SESSION_NAMES; i++) {
		if (put_name(&session->names[i], padded))
			return;
	}
}
