/*
 * twice.h: does a script do with the library what it does without?
 *
 * Each script runs bare and under the library: same output, same status, no line of ours but those
 * that are expected, and every trace that it left has a report that adds up. A script that hangs is
 * ended and fails. Every script ends with status 3, so that one whose program did not even start
 * shows. $D is the scratch directory, $S that of tests/e2e/scripts.
 */
#ifndef VMT_TWICE_H
#define VMT_TWICE_H

#include "tests/e2e/harness.h"

/* Sets $D and $S; into $D everyone may write. */
void twice_set_up(void);

/* Runs a script once, with further variables "NAME=value" (NULL-terminated, or NULL). */
void twice_run(struct run *run, const char *script, const char *const variables[]);
/* Whether it ends with status 0. */
bool twice_succeeds(const char *script);

/* Return how many traces the script left: one of its shell, and those of what it ran. */
size_t twice_compare(const char *script);
/* A script that preloads for itself finds in $OURS what it takes, "" for the bare run. */
size_t twice_compare_preloading(const char *script, const char *ours);
/* Lines on standard error that begin so may come with the library: *lines is how many did. */
size_t twice_compare_said(const char *script, const char *beginning, size_t *lines);

#endif
