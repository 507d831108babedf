/*
 * record_pid.h: records processes that run already, for `vmtrace record -p`
 *
 * Their calls (record_attach.h); or, where it is one and that can't be done, it is watched from
 * outside (collect/look.h): nothing is put into it, and it is never stopped. Its RSS and its
 * resident pages are recorded over time then. Ends with the processes, at --for, or at INT, TERM or
 * HUP. Once a process: signal handlers are global.
 */
#ifndef VMT_RECORD_PID_H
#define VMT_RECORD_PID_H

#include "tools/cmd/record_settings.h"

/* Writes the traces that the settings name, and says on stderr what was seen. 0 and *status, which
 * is 1 where one of several that were named was not recorded; or a negative errno with a message.
 */
int vmt_record_pid_run(struct vmt_record_settings *wanted, int *status, struct vmt_err *err);

#endif
