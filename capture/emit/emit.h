/*
 * emit.h: writes events into rings, and decides what to do when one is full
 *
 * Call only between vmt_guard_enter and vmt_guard_leave. Policies when the ring is full: map events
 * (and the frees of sampled blocks) wait for the drain, at most VMT_EMIT_WAIT_NS; sampled heap
 * events are dropped and counted; in `all` the caller waits as long as the drain gets on, at most
 * VMT_EMIT_WAIT_NS from one step of it to the next; where nobody collects, the oldest event makes
 * room. On a machine so busy that the sleeps of a wait come to more than that, it lasts until as
 * many were slept as an idle machine would have let it, at most VMT_EMIT_BUSY_WAIT_NS: a collector
 * that gets no CPU is late, not gone. A collector whose heartbeat stood still all through a wait
 * is as none until it beats again. After a wait in vain nobody waits at this ring until the drain
 * has got on: events are dropped and counted. A ring that becomes half full wakes the collector.
 *
 * Never blocks without bound; makes no system call but that wake-up while there is room. Clobbers
 * errno (restored by the hook); async-signal-safe.
 */
#ifndef VMT_EMIT_H
#define VMT_EMIT_H

#include "format/event.h"

#include <stdbool.h>
#include <stdint.h>

/* Before the first event of a trace: forgets what was seen of an earlier one's rings. */
void vmt_emit_begin_trace(void);

/* For who is alone in the process: while the collector is put off none can come, and nobody waits
 * for it. */
void vmt_emit_put_off_collector(bool is_off);

/* Ticks for an acquisition: not before anything that precedes it in program order. */
uint64_t vmt_emit_time_after(void);
/* Ticks for a release: not after anything that follows it in program order. */
uint64_t vmt_emit_time_before(void);

/* The calling thread's kernel id, asked once per thread. */
uint32_t vmt_emit_thread_id(void);

/* False when the event was dropped (and counted). Acquisitions of sampled blocks never wait. */
bool vmt_emit_heap(uint8_t kind, const void *block, uint64_t size, uint32_t stack, uint64_t time);

/* Fills thread; the caller fills everything else but sequence. */
bool vmt_emit_map(struct vmt_map_event *event);

/* Whether somebody drains this trace: its own heartbeat is under VMT_EMIT_FRESH_NS old, or the
 * collector has VMT_EMIT_OPEN_NS from the trace's beginning to open it, and has not yet looked at
 * the announcement in vain. That the collector of the
 * tree lives says nothing: it may have missed this trace, or be done with it. */
bool vmt_emit_is_collected(void);

/* Events that were written to this trace so far, whatever became of them. */
uint64_t vmt_emit_count(void);

#define VMT_EMIT_FRESH_NS UINT64_C(1000000000)
#define VMT_EMIT_OPEN_NS UINT64_C(2000000000)
#define VMT_EMIT_WAIT_NS UINT64_C(1000000000)
#define VMT_EMIT_BUSY_WAIT_NS UINT64_C(5000000000)

#endif
