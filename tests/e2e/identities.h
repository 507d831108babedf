/*
 * identities.h: does a report agree with itself?
 *
 * Of every class and row: what is resident, swapped, of huge pages or was never touched is part of
 * what is reserved, and so is what is accessible; the classes' sums are the totals; rows have no
 * more than all; those who committed add up to RSS and to each row. Where nothing happened after
 * the snapshot and nothing was lost: total_reserved - released = reserved for every row that is no
 * estimate. Without a snapshot there are no classes, and nothing is committed. The first that does
 * not hold fails the running test.
 */
#ifndef VMT_IDENTITIES_H
#define VMT_IDENTITIES_H

#include "tests/e2e/harness.h"

/* what: names the report where it fails. */
void identities_check(json_t *report, const char *what);

#endif
