/*
 * robust_trylock.h: a lock for one thread at a time that a dead holder loses
 *
 * A word that is 0, or the kernel's id of the thread whose turn it is. Nobody has to wait: who
 * finds it taken may go on without. A holder that has ended, wherever it was stopped, or that a
 * fork left behind in the parent, loses its turn to the next that asks; so does one that left by
 * longjmp and comes again. What it had half done is the taker's to put right. Where no system call
 * may be made a dead holder cannot be told from a slow one, and keeps its turn. Async-signal-safe,
 * but not to be asked for while holding it.
 */
#ifndef VMT_ROBUST_TRYLOCK_H
#define VMT_ROBUST_TRYLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum vmt_robust_trylock {
	VMT_ROBUST_TRYLOCK_BUSY,
	VMT_ROBUST_TRYLOCK_TAKEN,
	VMT_ROBUST_TRYLOCK_TAKEN_OVER, /* from one that never finished */
};

enum vmt_robust_trylock vmt_robust_trylock_take(uint32_t *holder);
/* Takes it, or waits for it, at most so long. *waited: somebody else had it. False: still. */
bool vmt_robust_trylock_wait(uint32_t *holder, uint64_t limit_ns, bool *waited);

void vmt_robust_trylock_release(uint32_t *holder);

#endif
