/*
 * why.h: one clause that says why something was not done
 */
#ifndef VMT_WHY_H
#define VMT_WHY_H

#include "base/text.h"

#include <stdbool.h>

#define VMT_WHY_BYTES 512u

/* "WHAT: ERROR"; error: negative errno, or 0. Returns false, as its callers do. */
bool vmt_why_put(char why[VMT_WHY_BYTES], const char *what, int error);

#endif
