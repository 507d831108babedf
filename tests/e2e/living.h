/*
 * living.h: what can a test ask of a trace that is still being written?
 *
 * By the head of the trace file, as the traced program and the collector themselves do. Each waits
 * for its condition, half a minute at most, and fails the running test then.
 */
#ifndef VMT_LIVING_H
#define VMT_LIVING_H

#include "tests/e2e/harness.h"

/* Asks the collector for a snapshot and waits until it is taken. */
void living_snapshot(const char *trace);

/* Waits until one of the traces that match a pattern is being collected; the collector's pid. */
pid_t living_collector(const char *pattern);

/* Waits until the collector has written how the process ended. */
void living_wait_end(const char *trace);

/* Collectors that have traces of this directory mapped: one that has ended maps nothing any more,
 * though nobody may have reaped it yet. */
int living_count_collectors(const char *directory);
void living_wait_gone(const char *directory);

/* The end of a conversation: waits until the program has ended and the collector has written how;
 * the wait status. Where nobody but a parent can ask how a process ended that is reaped (before
 * Linux 6.15), it is reaped last. */
int living_reap(struct conversation *talk, const char *trace);

#endif
