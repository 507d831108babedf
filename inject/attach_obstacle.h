/*
 * attach_obstacle.h: what keeps the recorder out of a process that runs, as /proc shows it
 *
 * Asked before anything is done to the process. Thread and signal safe.
 */
#ifndef VMT_ATTACH_OBSTACLE_H
#define VMT_ATTACH_OBSTACLE_H

#include "inject/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether this thread has a filter of system calls, or can't be asked. */
bool vmt_attach_obstacle_has_filter(pid_t tid);

/* True: there is one, and `why` says which, as a clause. */
bool vmt_attach_obstacle_find(pid_t pid, char why[VMT_WHY_BYTES]);

/* The same of what stands in the text of a /proc/PID/status. */
bool vmt_attach_obstacle_in_status(const char *text, size_t length, char why[VMT_WHY_BYTES]);

/* Why it could not be stopped or traced: of a negative errno. */
void vmt_attach_obstacle_explain(pid_t pid, int error, char why[VMT_WHY_BYTES]);

#endif
