/*
 * documented.h: does a document name every key of some JSON?
 *
 * A missing one fails the running test. Documents are read from the source tree.
 */
#ifndef VMT_DOCUMENTED_H
#define VMT_DOCUMENTED_H

#include "tests/e2e/harness.h"

void check_documented(json_t *value, const char *document);

#endif
