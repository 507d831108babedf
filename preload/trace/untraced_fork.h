/*
 * untraced_fork.h: a fork child without a trace forks
 *
 * A trace costs more than a fork does, and a child that does nothing but fork has nothing to write
 * into one: subshells are such, and daemons on their way. So it tells the session about its child,
 * and the collector looks after that one as after those whose forks it reads in traces
 * (collect/fork_children.h). It can only while the traced process is there from which both have
 * their mappings, and in the same pid namespace: else the collector would not know the new one. So
 * it looks at that process's stat, which takes some 10 us. The namespace of a child of libc's fork
 * is its parent's as long as it sees that parent. In the fork hooks; raw system calls only,
 * async-signal-safe.
 */
#ifndef VMT_UNTRACED_FORK_H
#define VMT_UNTRACED_FORK_H

#include <stdbool.h>
#include <sys/types.h>

/* Once the process is recorded. */
void vmt_untraced_fork_set_up(void);

/* In the child of a fork, first of all. */
void vmt_untraced_fork_begin(void);

/* The child of a fork or clone with those flags, in who made it. False: the event is to be written,
 * which opens a trace where there is none. */
bool vmt_untraced_fork_tell(pid_t child, int flags);

#endif
