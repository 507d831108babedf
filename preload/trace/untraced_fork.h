/*
 * untraced_fork.h: a fork child without a trace forks
 *
 * A trace costs more than a fork does, and a child that does nothing but fork has nothing to write
 * into one: subshells are such, and daemons on their way. So it tells the session about its child,
 * and the collector looks after that one as after those whose forks it reads in traces
 * (collect/fork_children.h). It can only while the traced process is there from which both have
 * their mappings, and in the same pid namespace: else the collector would not know the new one.
 * That the process has ended stands in its trace's head (forks_over). The namespace of a child of
 * libc's fork is its parent's wherever it sees a parent. In the fork hooks; raw system calls only,
 * async-signal-safe.
 */
#ifndef VMT_UNTRACED_FORK_H
#define VMT_UNTRACED_FORK_H

#include "base/fork_code.h"

#include <stdbool.h>
#include <sys/types.h>

/* Once the process is recorded. */
void vmt_untraced_fork_set_up(void);

/* Before a fork: whether the pid namespace of who forks is known. */
VMT_FORK_CODE bool vmt_untraced_fork_prepare(void);
/* In its child, first of all, with that answer. */
VMT_FORK_CODE void vmt_untraced_fork_begin(bool prepared);

/* The child of a fork or clone with those flags, in who made it. False: the event is to be written,
 * which opens a trace where there is none. */
VMT_FORK_CODE bool vmt_untraced_fork_tell(pid_t child, int flags);

#endif
