/*
 * documented.h: does a document say what the command does?
 *
 * What is missing fails the running test. Documents are read from the source tree.
 */
#ifndef VMT_DOCUMENTED_H
#define VMT_DOCUMENTED_H

#include "tests/e2e/harness.h"

/* Names every key. */
void check_documented(json_t *value, const char *document);

/* Has the text in it, letter for letter. */
void check_quoted(const char *quoted, const char *document);

#endif
