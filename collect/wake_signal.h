/*
 * wake_signal.h: a signal that ends the collector's sleep
 *
 * The collector sleeps on a futex, and perf tells of a filling buffer by a descriptor: no call
 * waits for both before Linux 6.7 (io_uring), so the descriptor sends SIGIO, and a handler that
 * does nothing makes the sleep return -EINTR. One that comes just before the sleep is missed; then
 * the next one, or the sleep's end, is soon enough.
 *
 * Raw system calls, as the collector may have no C library. Of the whole process.
 */
#ifndef VMT_WAKE_SIGNAL_H
#define VMT_WAKE_SIGNAL_H

#include <stdbool.h>

/* From now on the signal wakes. False: it does not. */
bool vmt_wake_signal_begin(void);

/* It is ignored from now on. */
void vmt_wake_signal_end(void);

#endif
