/*
 * soak.h: how often does a test repeat what it tries?
 *
 * `make check` runs every test in its fast form, `make soak` the same programs in their long one,
 * which the environment variable VMT_SOAK asks for. One test by hand:
 * VMT_SOAK=1 build/tests/e2e/test_killed.
 */
#ifndef VMT_SOAK_H
#define VMT_SOAK_H

#include <stdlib.h>

/* The count of the form that runs. */
static inline long
soak_count(long fast, long soak)
{
	return getenv("VMT_SOAK") != NULL ? soak : fast;
}

#endif
