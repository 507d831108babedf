/*
 * turn.h: which one thread may do this now?
 *
 * A word that is 0, or the kernel's id of the thread whose turn it is. Nobody waits: who finds it
 * taken goes on without. A holder that has ended, wherever it was stopped, loses its turn to the
 * next that asks; so does one that left by longjmp and comes again. What it had half done is the
 * taker's to put right. Where no system call may be made a dead holder cannot be told from a slow
 * one, and keeps its turn. Async-signal-safe, but not to be asked for while holding it.
 */
#ifndef VMT_TURN_H
#define VMT_TURN_H

#include <stdint.h>

enum vmt_turn {
	VMT_TURN_BUSY,
	VMT_TURN_TAKEN,
	VMT_TURN_TAKEN_OVER, /* from one that never finished */
};

enum vmt_turn vmt_turn_take(uint32_t *holder);
void vmt_turn_give(uint32_t *holder);

#endif
