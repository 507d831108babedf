/*
 * raw_call.h: makes a memory call by its number and writes it down
 *
 * For the hook of libc's syscall() and for the Go runtime's own calls. Call between vmt_guard_enter
 * and vmt_guard_leave. Returns the kernel's value; errno may be clobbered. Async-signal-safe.
 */
#ifndef VMT_RAW_CALL_H
#define VMT_RAW_CALL_H

#include <stdbool.h>
#include <stdint.h>

struct vmt_raw_call {
	long number;
	long words[6];
};

/* Just the system call. */
long vmt_raw_call_make(const struct vmt_raw_call *call);

/* The call, not written down; what the next hook needs is left. Of a munmap that failed the words
 * then tell what is left of its range. */
long vmt_raw_call_pass(struct vmt_raw_call *call);

/* After leave: whether the call is to be made again (capture/record/retreat.h). */
bool vmt_raw_call_retreat(const struct vmt_raw_call *call, long result);

/* Makes the calls that have hooks by their libc names and writes them alike; all others are made
 * and not written. A munmap that failed: as above. */
long vmt_raw_call_record(struct vmt_raw_call *call, uint32_t stack);

/* Linux 6.6, on all machines; newer than the headers may be. As text, since assembly has it. */
#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack 453
#endif

#endif
