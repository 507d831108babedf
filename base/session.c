#include "base/session.h"

#include "base/prealloc.h"
#include "base/shm_fallback.h"
#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

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
	memcpy((*session)->magic, VMT_SESSION_MAGIC, sizeof((*session)->magic));
	vmt_atomic_store_release(&(*session)->version, VMT_SESSION_VERSION);
	return 0;
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

int
vmt_session_attach(const char *path, struct vmt_session **session)
{
	int fd = vmt_sys_open(path, O_RDWR | O_NOFOLLOW, 0);

	return fd < 0 ? fd : vmt_session_view(fd, session);
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
	vmt_sys_close(fd);
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

static struct vmt_session_slot *
claim_slot(struct vmt_session *session)
{
	for (uint32_t i = 0; i < VMT_SESSION_SLOTS; i++) {
		uint32_t expected = VMT_SESSION_FREE;

		note_used(session, i + 1);
		if (vmt_atomic_load_relaxed(&session->slots[i].state) == VMT_SESSION_FREE &&
		    vmt_atomic_cas(&session->slots[i].state, &expected, VMT_SESSION_CLAIMED))
			return &session->slots[i];
	}
	return NULL;
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
		slot = claim_slot(session);
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
