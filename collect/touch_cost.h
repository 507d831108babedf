/*
 * touch_cost.h: do the events of page faults cost a process too much?
 *
 * They do so when it makes threads and processes, and whenever the kernel takes one of its threads
 * on or off a processor: there it takes the thread's events along. How often, its threads'
 * schedstat says. Two credits limit that, each to about a hundredth of the time (cpu_budget.h). A
 * process that is over the second one has no events for a while: until it is over, or the process's
 * memory grows. Of many threads a part is looked at. Single-threaded.
 */
#ifndef VMT_TOUCH_COST_H
#define VMT_TOUCH_COST_H

#include "collect/traced.h"

/* On and off once (measured on x86, Linux 6.18, two threads that take turns: 1.2 us where one has
 * events, .3 where both have inherited the same). */
#define VMT_TOUCH_SWITCH_NS UINT64_C(1000)

/* The third number of schedstat: how often a thread was taken on. False: it is none. */
bool vmt_touch_cost_parse(const char *text, size_t length, uint64_t *slices);

/* Full credits; the events are open from now on. */
void vmt_touch_cost_begin(struct vmt_touch_target *target, uint64_t now_ns);

/* Threads to come inherit nothing from now on: if that is not enough, it shows soon. */
void vmt_touch_cost_follow(struct vmt_touch_target *target, uint64_t now_ns);

/* Now and then: spends what the threads' switches have cost since. `scratch` takes thread ids. */
void vmt_touch_cost_weigh(struct vmt_traced *process, struct vmt_buffer *scratch, uint64_t now_ns);

/* The events are closed from now on. */
void vmt_touch_cost_rest(struct vmt_traced *process, uint64_t now_ns);

/* Whether they may be opened again. */
bool vmt_touch_cost_has_rested(const struct vmt_traced *process, uint64_t now_ns);

#endif
