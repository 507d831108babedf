/*
 * urgent.h: this thread's work comes before other programs' for a short while
 *
 * While a program stands its time goes by for nothing, and beside other work most of it is waiting
 * for a processor. A thread of the usual policy gets that of the lowest real-time priority, where
 * the kernel lets this process do so (CAP_SYS_NICE) and RLIMIT_RTTIME sets no end to it; else
 * nothing changes. It must sleep while it waits: on a single processor those whom it waits for run
 * then alone. Its nice value stays, and what it forks meanwhile would inherit the policy.
 *
 * sched(7). Async-signal-safe; of the calling thread.
 */
#ifndef VMT_URGENT_H
#define VMT_URGENT_H

#include <stdbool.h>

/* All zero: it is not. */
struct vmt_urgent {
	bool is_on;
};

void vmt_urgent_begin(struct vmt_urgent *urgent);

/* By the same thread; may be called again. */
void vmt_urgent_end(struct vmt_urgent *urgent);

#endif
