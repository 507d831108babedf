/*
 * begin.h: begins the recording of a process and of its fork children
 *
 * The part of it that is the same whichever way this code came into the process. One thread, before
 * anything is recorded.
 */
#ifndef VMT_BEGIN_H
#define VMT_BEGIN_H

#include "base/session.h"

#include <stdbool.h>

/* The session that the configuration names, mapped. One whose collector has gone is as good as
 * none: NULL. */
struct vmt_session *vmt_begin_find_session(void);

/* Whether the time stamp counter may be read, and tells the same time on all CPUs. */
bool vmt_begin_can_use_tsc(void);

/* Opens the trace, tells the collector of it, writes down what there is and begins to record.
 * prepare: called once the trace is open, before anything of it is read by others. NULL, or why
 * nothing can be recorded. From then on fork children begin by themselves. */
const char *vmt_begin_trace(void (*prepare)(void));

#endif
