#include "capture/core/same_thread.h"

#if defined(VMT_THREAD_ON_STACK)
#include "capture/core/threads_inside.h"

#include <stddef.h>
#include <sys/uio.h>

static uint64_t (*finder)(void);

void
vmt_same_thread_set_finder(uint64_t (*find)(void))
{
	finder = find;
}

/* The place may not be mapped. */
static bool
holds(uint64_t address, uint32_t thread_id)
{
	uint32_t word = 0;
	struct iovec from = {(void *)address, sizeof(word)}; /* NOLINT(performance-no-int-to-ptr) */
	struct iovec to = {&word, sizeof(word)};

	return vmt_sys_call6(SYS_process_vm_readv, vmt_sys_call0(SYS_getpid), (long)&to, 1,
			     (long)&from, 1, 0) == (long)sizeof(word) &&
	       word == thread_id;
}

/* 0: the id stands nowhere. A word within the thread's control block is there for as long as the
 * thread has that pointer, and is read later without asking the kernel. musl's block is the shorter
 * one: at glibc's place something else may lie behind it, and go. */
static uint64_t
find_word(uint32_t thread_id)
{
	static const uint16_t offsets[] = {0x30, 0x38, 0x2d0}; /* musl, musl before 1.2, glibc */
	uint64_t pointer = vmt_thread_pointer();
	uint64_t other = finder ? finder() : 0;

	for (size_t i = 0; pointer != 0 && i < sizeof(offsets) / sizeof(offsets[0]); i++)
		if (holds(pointer + offsets[i], thread_id))
			return pointer + offsets[i];
	return other != 0 && holds(other, thread_id) ? other : 0;
}

/* Where threads may share their pointer, the word is that of one of them. A program that starts may
 * not have written the word yet: it is looked for again at ever longer distances. */
bool
vmt_same_thread_is(struct vmt_thread *state)
{
	if (state->id_word != 0 && !vmt_threads_inside_is_distrusted())
		return *(const volatile uint32_t *)state->id_word == state->thread_id;
	if (state->thread_id != (uint32_t)vmt_sys_call0(SYS_gettid))
		return false;
	if ((state->id_asked & (state->id_asked + 1)) == 0)
		state->id_word = find_word(state->thread_id);
	state->id_asked++;
	return true;
}

void
vmt_same_thread_renew(struct vmt_thread *state)
{
	state->generation = 0;
	state->thread_id = 0;
	state->stack_low = state->stack_high = 0;
	state->foreign_low = state->foreign_high = 0;
	state->floor = 0;
	state->last_walk = NULL;
	state->id_word = 0;
	state->id_asked = 0;
	state->alternate_asked = 0;
}
#else
typedef int vmt_same_thread_is_for_code_on_foreign_stacks;
#endif
