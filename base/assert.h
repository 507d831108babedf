/*
 * assert.h: what must be true of our own state, tried in test builds.
 *
 * vmt_assert(condition) traps where the condition is false and VMT_ASSERTS is 1: in the sanitizers'
 * builds and in `make checked`. In a build as it is shipped it is no code at all; the condition is
 * compiled, so that it stays right, and never evaluated. A wall shows that the shipped library is
 * the same without a single one.
 *
 * What may be asserted: what only a fault of ours can make false. Never what another thread may
 * change in between, what lies in memory that the program can write to (the trace's head, rings,
 * tables), what the kernel answers, or what a file holds. No side effects. Thread and signal safe.
 */
#ifndef VMT_ASSERT_H
#define VMT_ASSERT_H

#ifndef VMT_ASSERTS
#define VMT_ASSERTS 0
#endif

#if VMT_ASSERTS
#define vmt_assert(condition) ((condition) ? (void)0 : __builtin_trap())
#else
#define vmt_assert(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
