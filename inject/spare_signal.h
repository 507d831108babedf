/*
 * spare_signal.h: a signal that one thread can send itself without the program's noticing
 *
 * One of those that do nothing unless they are handled. The program handles it not, and neither
 * blocks it nor has one pending, which would be lost. Thread and signal safe.
 */
#ifndef VMT_SPARE_SIGNAL_H
#define VMT_SPARE_SIGNAL_H

#include <stdint.h>
#include <sys/types.h>

/* blocked: the mask that the thread blocks by its own will. What /proc shows is another while calls
 * are made in it (remote_call.h): all signals. 0: there is none. */
int vmt_spare_signal_find(pid_t pid, pid_t tid, uint64_t blocked);

#endif
