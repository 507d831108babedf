/*
 * address_space.h: whether /proc/PID still shows the image that made the trace
 *
 * An exec keeps pid and start time and takes the address space away. Descriptors of maps, pagemap
 * and smaps_rollup stay with the address space that they were opened on and read as empty after it;
 * statm and stat show the successor's from then on. So the descriptors are taken only if maps shows
 * the mapping of the trace itself, and what statm said counts only if the address space is there
 * afterwards. Two signs say that it is: maps can be read, and the start of the stack (field 28 of
 * stat) is the same, as maps can be read for as long as anybody else uses the memory.
 *
 * A process that may not be traced shows no maps: its statm counts until it says that it execs.
 * Single-threaded. The descriptors are the process's to close.
 */
#ifndef VMT_ADDRESS_SPACE_H
#define VMT_ADDRESS_SPACE_H

#include "collect/traced.h"

/* Opens stat, a pidfd, maps, pagemap, statm and smaps_rollup, in the order of need, as there may
 * be few to be had; or takes those that came with the collector. Those that are refused hold
 * negative errno. */
void vmt_address_space_open(struct vmt_traced *process, const struct vmt_shared *shared);

/* Once the trace is mapped: lets go of memory that is not the image's. `stat` was read since all
 * was opened. False: the process has become another program. */
bool vmt_address_space_check(struct vmt_traced *process, const struct vmt_procfs_stat *stat);

/* Whether the process has mapped the trace of another, as a fork child has its parent's. */
bool vmt_address_space_has_trace_of(const struct vmt_traced *process,
				    const struct vmt_traced *other);

/* The device that maps name beside the inode of a process's trace; false: not known. */
bool vmt_address_space_device(const struct vmt_traced *process, uint32_t *device);

/* Whether it was the image's until now. False also where nothing is to be learnt of it. */
bool vmt_address_space_is_there(struct vmt_traced *process);

/* The same for less: does not learn what the process calls itself. */
bool vmt_address_space_is_mapped(struct vmt_traced *process);

/* Whether the process runs on as another program. */
bool vmt_address_space_is_replaced(const struct vmt_traced *process);

enum vmt_same_name { VMT_NAME_SAME, VMT_NAME_OTHER, VMT_NAME_UNKNOWN };

/* Whether the process, which may have ended, has the name that it had when its address space was
 * last seen: an exec gives it another. Not known of one that was reaped. */
enum vmt_same_name vmt_address_space_compare_name(const struct vmt_traced *process);

void vmt_address_space_close(struct vmt_traced *process);

#endif
