/*
 * observe.h: does a report of a target that keeps its own books say what they say?
 *
 * Records build/tests/target/PROGRAM with every block, lets it stand still after its last step,
 * looks at it from outside, and compares: the snapshot's RSS with smaps_rollup's, then each figure
 * of each row with the books. The first difference fails the running test.
 */
#ifndef VMT_OBSERVE_H
#define VMT_OBSERVE_H

/* argument: the program's only one, or NULL. */
void observe(const char *program, const char *argument);

#endif
