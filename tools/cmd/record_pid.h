/*
 * record_pid.h: watches a process that runs already, for `vmtrace record -p`
 *
 * From outside (collect/look.h): nothing is put into the process, and it is never stopped. Its RSS
 * and its resident pages are recorded over time, its calls are not. Ends with the process, at
 * --for, or at INT, TERM or HUP. One watch a process: signal handlers are global.
 */
#ifndef VMT_RECORD_PID_H
#define VMT_RECORD_PID_H

#include "tools/cmd/record_settings.h"

/* Writes the trace that the settings name, and says on stderr what was seen. 0 and *status 0, or a
 * negative errno with a message; then a file of that name is what it was. */
int vmt_record_pid_run(struct vmt_record_settings *wanted, int *status, struct vmt_err *err);

#endif
