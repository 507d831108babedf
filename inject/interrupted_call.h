/*
 * interrupted_call.h: a call that ended with EINTR only because the thread was stopped
 *
 * Most calls that a stop of ptrace's interrupts are made again by the kernel. Some are not, and end
 * with EINTR: epoll_wait, sockets with a timeout, semaphores and queues of System V, sigtimedwait,
 * io_getevents (signal(7), "Interruption of system calls and library functions by stop signals").
 * A program without signal handlers need not know EINTR. So where no signal is the cause, such a
 * call is made again. One with a time to wait then waits for all of it again. x86-64 alone.
 */
#ifndef VMT_INTERRUPTED_CALL_H
#define VMT_INTERRUPTED_CALL_H

#include <sys/types.h>

/* The thread of the process stands in a stop. signal: the one that is about to be delivered there;
 * 0: none. 0, or negative errno. */
int vmt_interrupted_call_repair(pid_t pid, pid_t tid, int signal);

#endif
