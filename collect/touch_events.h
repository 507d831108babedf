/*
 * touch_events.h: the kernel's events of page faults
 *
 * PERF_COUNT_SW_PAGE_FAULTS_MIN fires after the kernel has given the thread its page, with the
 * address, so that the page's size is known as well. PERF_COUNT_SW_PAGE_FAULTS_MAJ does so where
 * that page had to be read from a file or from swap, and then the former does not
 * (mm_account_fault in Linux's mm/memory.c). PERF_COUNT_SW_PAGE_FAULTS counts both, but fires
 * before. What an event may do depends on the kernel and on the leave that the collector has
 * (perf_event_open(2), /proc/sys/kernel/perf_event_paranoid); that is tried once. Errors: negative
 * errno.
 */
#ifndef VMT_TOUCH_EVENTS_H
#define VMT_TOUCH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

enum vmt_touch_kind {
	VMT_TOUCH_MINOR,
	VMT_TOUCH_MAJOR,
};

struct vmt_touch_events {
	uint32_t has;	     /* VMT_TOUCH_HAS_* of touch_record.h */
	bool kernel;	     /* faults in kernel mode are sampled, too */
	bool inherit;	     /* threads to come are, too (Linux 5.13); never fork children */
	bool tells_threads;  /* each new thread makes a record */
	bool counts_losses;  /* an event can be asked what it lost (Linux 6.0) */
	uint32_t copy_bytes; /* of the stack, in each sample; 0: none */
};

/* What the kernel permits, tried on the calling thread. -EPERM also where a seccomp filter would
 * kill who asks. */
int vmt_touch_events_probe(struct vmt_touch_events *events);

/* An event that never fires, on the calling thread: the buffer of a processor's events is its. */
int vmt_touch_events_open_ring(uint32_t cpu);

/* Which faults: one in `period` of a kind, of a thread, on one processor. */
struct vmt_touch_wish {
	enum vmt_touch_kind kind;
	uint64_t period;
	uint32_t tid;
	uint32_t cpu;
};

/* Their samples go into a ring of that processor. Those of minor faults also tell of mappings, new
 * names and threads. */
int vmt_touch_events_open(const struct vmt_touch_events *events, const struct vmt_touch_wish *wish,
			  int ring_fd);

/* By which its samples name the event, also those of threads that inherited it. The kernel numbers
 * all events as they are opened: later ones have greater ids. 0 or negative errno. */
int vmt_touch_events_read_id(int fd, uint64_t *id);

/* What the event has dropped, with those of its threads; 0 where that can't be asked. */
uint64_t vmt_touch_events_read_lost(const struct vmt_touch_events *events, int fd);

#endif
