/*
 * idle_child.h: whether this is a fork child whose trace nobody will want
 *
 * A trace of a fork child that ended within VMT_RETAIN_BRIEF_NS and did nothing with memory is
 * removed at its end (collect/retain.h). Such a child need not wait for a last snapshot; and where
 * the collector has not come to its trace yet, it removes it by itself: a program may fork faster
 * than anybody can look. In the exit hooks, while the trace is held; raw system calls only.
 */
#ifndef VMT_IDLE_CHILD_H
#define VMT_IDLE_CHILD_H

#include <stdbool.h>

/* At the end of vmt_open_in_child: from here on events are the program's own doing. */
void vmt_idle_child_begin(void);

/* Before the exit is written. False of any process that is not such a child. */
bool vmt_idle_child_is_one(void);

/* After it: removes the trace if nobody has opened it, and counts that in the session. */
void vmt_idle_child_discard(void);

#endif
