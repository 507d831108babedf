/*
 * long_call.h: a call that fills memory before it returns, begun and ended.
 *
 * mmap with MAP_POPULATE or MAP_LOCKED, pthread_create, and, once mlockall(MCL_FUTURE) was called,
 * any mmap, shmat and a break that grows can be at work for seconds, while snapshots find their
 * pages. LONG_BEGIN is written before such a call, so that a report can name it
 * (tools/model/replay/unfinished_calls.h). Its own event ends it, or LONG_END where it failed and
 * writes none. Other calls pay one test of their flags.
 *
 * A munmap of VMT_LONG_CALL_BYTES and more, whose pages are there until the kernel has got to them,
 * writes LONG_END after its release.
 *
 * Between vmt_guard_enter and leave, but for vmt_long_call_note_lock. Signal and thread safe.
 */
#ifndef VMT_LONG_CALL_H
#define VMT_LONG_CALL_H

#include "capture/record/mapping_request.h"
#include "format/event.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_LONG_CALL_BYTES (UINT64_C(4) << 20)

/* mlockall was called with these flags and this result; munlockall: 0, 0. */
void vmt_long_call_note_lock(int flags, long result);

bool vmt_long_call_is(const struct vmt_mapping_request *request);
void vmt_long_call_begin_mmap(const struct vmt_mapping_request *request, uint64_t length,
			      uint32_t stack);
/* Whether a call fills any memory that it maps: mlockall(MCL_FUTURE) was called. */
bool vmt_long_call_fills(void);
/* shmat or a growing break: by the event that will end it, with the address that is asked for or
 * the old break, and the bytes that will be there. */
void vmt_long_call_begin_segment(const struct vmt_map_event *ending);
/* A stack of these bytes, 0 = not known. */
void vmt_long_call_begin_thread(uint64_t stack_bytes, uint32_t stack);

/* It failed: no event of its own will come. kind: of the event that would have. */
void vmt_long_call_end(uint8_t kind, uint32_t stack);

#endif
