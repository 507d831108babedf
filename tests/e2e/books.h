/*
 * books.h: does a report say what the program's own books say?
 *
 * The books are the line of JSON that tests/target/truth.h describes. Every figure of every site
 * and advice in them must stand in the report; the first that does not fails the running test.
 */
#ifndef VMT_BOOKS_H
#define VMT_BOOKS_H

#include "tests/e2e/harness.h"

void books_compare_sites(json_t *truth, json_t *root);
void books_compare_advice(json_t *truth, json_t *root);

#endif
