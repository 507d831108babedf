/*
 * exit_status.h: whether a process has ended, and how
 *
 * A process is watched by its pidfd and by a descriptor of its stat file, both of which stay its
 * own whatever becomes of its pid. How it ended is told, in this order, by the host that reaped
 * it, by its stat while it is a zombie (field 52, needs leave to trace), by PIDFD_GET_INFO after it
 * was reaped (Linux 6.15), by what the process said of itself. Errors: false, VMT_END_UNKNOWN.
 */
#ifndef VMT_EXIT_STATUS_H
#define VMT_EXIT_STATUS_H

#include "collect/host.h"
#include "format/head.h"

#include <stdbool.h>
#include <stdint.h>

struct vmt_exit_status {
	enum vmt_end end;
	int32_t status; /* exit status, or signal */
};

/* Whether every thread of it has ended. Descriptors may be -1. */
bool vmt_exit_status_reached(int pidfd, int stat_fd);

/* By pid alone: whether a process has not been reaped, and whether it can still say something, as a
 * zombie can't. False of 0, which is no process. */
bool vmt_exit_status_is_there(uint32_t pid);
bool vmt_exit_status_is_running(uint32_t pid);

/* From waitpid's status. */
struct vmt_exit_status vmt_exit_status_decode(int wait_status);

/* For a process that vmt_exit_status_reached. stat_readable: this process may see its exit code. */
struct vmt_exit_status vmt_exit_status_learn(const struct vmt_collector_host *host, uint32_t pid,
					     int pidfd, int stat_fd, bool stat_readable);

/* A write lease on an open file: nobody else has it open, and who opens it waits until the lease
 * ends (with O_NONBLOCK: EWOULDBLOCK). False: somebody has, or the file system knows no leases. */
bool vmt_exit_status_take_lease(int fd);
void vmt_exit_status_end_lease(int fd);

/* Whether nobody but this descriptor has the file open for writing or mapped from such a
 * descriptor (asked by trying for a write lease). False also where the file system can't tell. */
bool vmt_exit_status_is_sole_writer(int fd);

#endif
