#include "capture/stacks/last_walk.h"

#include "base/assert.h"
#include "base/sys.h"
#include "capture/emit/emit.h"
#include "capture/emit/own_mapping.h"

#include <errno.h>
#include <string.h>

/* Parts looked at in search of one whose thread has ended, and how many walks later again. */
#define PROBES 8u
#define TRY_AGAIN_WALKS 4096u

uint32_t vmt_last_walk_epoch;

/* The pool's pieces, in the order in which they are mapped; NULL: not yet. */
static struct vmt_last_walk *pieces[VMT_LAST_WALK_PIECES];

#define PIECE_PARTS (VMT_LAST_WALK_POOL / VMT_LAST_WALK_PIECES)
#define PIECE_BYTES (PIECE_PARTS * sizeof(struct vmt_last_walk))

void
vmt_last_walk_set_up(void)
{
	struct vmt_last_walk *memory = vmt_own_memory_map_listed(PIECE_BYTES);

	if (!memory)
		return;
	(void)vmt_own_memory_wipe_on_fork(memory, PIECE_BYTES);
	pieces[0] = memory;
}

/* Two threads may come here at once: one keeps its memory. False: none is to be had. */
static bool
map_piece(uint32_t number)
{
	struct vmt_last_walk *expected = NULL;
	struct vmt_last_walk *memory =
	    vmt_guard_syscalls_allowed() ? vmt_own_memory_map(PIECE_BYTES) : NULL;

	vmt_assert(number < VMT_LAST_WALK_PIECES);
	if (!memory)
		return false;
	(void)vmt_own_memory_wipe_on_fork(memory, PIECE_BYTES);
	if (!vmt_atomic_cas(&pieces[number], &expected, memory))
		vmt_sys_munmap(memory, PIECE_BYTES);
	else
		vmt_own_mapping_write((uint64_t)(uintptr_t)memory, PIECE_BYTES);
	return true;
}

uint64_t
vmt_last_walk_mapped_bytes(void)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < VMT_LAST_WALK_PIECES; i++)
		bytes += vmt_atomic_load_relaxed(&pieces[i]) ? PIECE_BYTES : 0;
	return bytes;
}

void
vmt_last_walk_unmap(void)
{
	for (uint32_t i = 0; i < VMT_LAST_WALK_PIECES; i++) {
		if (!pieces[i])
			continue;
		vmt_own_memory_drop((uint64_t)(uintptr_t)pieces[i], PIECE_BYTES);
		vmt_sys_munmap(pieces[i], PIECE_BYTES);
		pieces[i] = NULL;
	}
}

/* Orders the change of the rules before the number that says so. */
void
vmt_last_walk_forget(void)
{
	uint32_t epoch = vmt_atomic_load_relaxed(&vmt_last_walk_epoch);

	while (!vmt_atomic_cas(&vmt_last_walk_epoch, &epoch, epoch + 1))
		;
}

/* Thread ids are made up where no system call may be made: then nobody is known to have ended. */
static bool
has_ended(uint32_t thread_id)
{
	return vmt_guard_syscalls_allowed() &&
	       vmt_sys_call3(SYS_tgkill, vmt_guard_owner->pid, thread_id, 0) == -ESRCH;
}

/* The number of a thread that has ended may be this thread's by now. */
static bool
take(struct vmt_last_walk *part, uint32_t mine, bool from_the_dead)
{
	uint32_t owner = vmt_atomic_load_relaxed(&part->owner);

	if (owner != 0 && owner != mine && !(from_the_dead && has_ended(owner)))
		return false;
	/* Orders what the thread that has ended did before what this one will do. */
	return vmt_atomic_cas(&part->owner, &owner, mine);
}

static struct vmt_last_walk *
find_in(struct vmt_last_walk *piece, uint32_t mine)
{
	for (uint32_t i = 0; i < PIECE_PARTS; i++)
		if (take(&piece[i], mine, false))
			return &piece[i];
	return NULL;
}

/* A free part; one of a thread that has ended, looked for in `mapped` pieces; one of a new piece.
 */
static struct vmt_last_walk *
find(uint32_t mine)
{
	struct vmt_last_walk *part = NULL;
	uint32_t mapped = 0;

	for (; mapped < VMT_LAST_WALK_PIECES; mapped++) {
		struct vmt_last_walk *piece = vmt_atomic_load_acquire(&pieces[mapped]);

		if (!piece)
			break;
		part = find_in(piece, mine);
		if (part)
			return part;
	}
	for (uint32_t i = 0; mapped != 0 && i < PROBES; i++) {
		uint32_t at = (mine + i) % (mapped * PIECE_PARTS);

		vmt_assert(at / PIECE_PARTS < mapped);
		part = &pieces[at / PIECE_PARTS][at % PIECE_PARTS];
		if (take(part, mine, true))
			return part;
	}
	if (mapped == VMT_LAST_WALK_PIECES || !map_piece(mapped))
		return NULL;
	return find_in(vmt_atomic_load_acquire(&pieces[mapped]), mine);
}

struct vmt_last_walk *
vmt_last_walk_claim_slow(struct vmt_thread *thread)
{
	struct vmt_last_walk *last;

	if (thread->last_walk) {
		thread->last_walk = NULL;
		thread->walks = 0;
	}
	thread->walks++;
	if (!pieces[0] || thread->walks % TRY_AGAIN_WALKS != VMT_LAST_WALK_CLAIM_AT)
		return NULL;
	last = find(vmt_emit_thread_id());
	if (!last)
		return NULL;
	vmt_assert(vmt_atomic_load_relaxed(&last->owner) == thread->thread_id);
	last->generation = vmt_guard_owner->generation;
	last->resting = 0;
	last->top = VMT_LAST_WALK_FRAMES;
	thread->last_walk = last;
	return last;
}

/* Words of the stack, as they are: some may belong to no variable any more. */
#if defined(__SANITIZE_ADDRESS__)
__attribute__((no_sanitize_address))
#endif
static inline uint64_t
word_at(uint64_t address)
{
	return *(const volatile uint64_t *)address;
}

#if defined(__SANITIZE_ADDRESS__)
__attribute__((no_sanitize_address))
#endif
static inline bool
is_intact(const struct vmt_last_frame *frame, uint64_t pc, uint64_t low)
{
	uint64_t rbp_place = frame->sp - 8 * (uint64_t)frame->rbp_at;
	uint64_t cfa_place = frame->sp - 8 * (uint64_t)frame->cfa_at;

	if (frame->sp - 8 < low || word_at(frame->sp - 8) != pc)
		return false;
	if (frame->rbp_at != 0 && (rbp_place < low || word_at(rbp_place) != frame->rbp))
		return false;
	return __builtin_expect(frame->cfa_at == 0, 1) ||
	       (cfa_place >= low && word_at(cfa_place) == frame->sp);
}

/* The innermost frame's own two words are the hook's: just below sp, and in use. */
uint32_t
vmt_last_walk_intact(struct vmt_last_walk *last, uint64_t sp, uint64_t end)
{
	uint32_t epoch = vmt_atomic_load_acquire(&vmt_last_walk_epoch);
	uint32_t frame = VMT_LAST_WALK_FRAMES;

	if (__builtin_expect(last->end != end || last->epoch != epoch, 0)) {
		last->end = end;
		last->epoch = epoch;
		last->top = VMT_LAST_WALK_FRAMES;
	}
	while (frame > last->top &&
	       is_intact(&last->frames[frame - 1], last->pc[frame - 1], sp - 16))
		frame--;
	vmt_assert(frame >= last->top && frame <= VMT_LAST_WALK_FRAMES);
	return frame;
}

void
vmt_last_walk_settle(struct vmt_last_walk *last, uint32_t fresh, uint32_t outer)
{
	uint32_t top = outer - fresh;
	bool read_later = false; /* rbp, as it is here, by a frame further out */
	uint64_t hash = 0;

	vmt_assert(fresh <= outer && outer <= VMT_LAST_WALK_FRAMES);
	if (top != 0) {
		memmove(last->pc + top, last->pc, fresh * sizeof(*last->pc));
		memmove(last->frames + top, last->frames, fresh * sizeof(*last->frames));
	}
	if (outer < VMT_LAST_WALK_FRAMES) {
		hash = last->frames[outer].hash;
		read_later = last->frames[outer].rbp_lives && !last->frames[outer].rbp_made;
	}
	for (uint32_t i = outer; i-- > top;) {
		struct vmt_last_frame *frame = &last->frames[i];

		last->ids[i] = 0;
		hash = vmt_stack_table_add_frame(hash, last->pc[i]);
		frame->hash = hash;
		frame->rbp_lives = frame->rbp_read || read_later;
		read_later = frame->rbp_lives && !frame->rbp_made;
		if (!frame->rbp_lives)
			frame->rbp_at = 0;
	}
	last->top = top;
}
