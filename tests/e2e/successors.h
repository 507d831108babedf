/*
 * successors.h: was a static program recorded that a recorded one has executed?
 *
 * Of traces in the scratch directory by SUCCESSORS_PATTERN, and of tests/target/static_successor.
 */
#ifndef VMT_SUCCESSORS_H
#define VMT_SUCCESSORS_H

#include <stdbool.h>
#include <stdint.h>

#define SUCCESSORS_PATTERN "child.%p.vmt"

/* Whether a process of this number has a trace: any, or one of static_successor that tells of its
 * mapping, not one of what forked it or was there before it. */
bool successor_has_trace(int64_t pid);
bool successor_is_recorded(int64_t pid);
void successor_check(int64_t pid);

#endif
