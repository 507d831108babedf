/*
 * why.h: one clause that says why something was not done
 */
#ifndef VMT_WHY_H
#define VMT_WHY_H

#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define VMT_WHY_BYTES 512u

/* "WHAT: ERROR"; error: negative errno, or 0. Returns false, as its callers do. */
bool vmt_why_put(char why[VMT_WHY_BYTES], const char *what, int error);

/* What was missing where the recorder's memory could not be mapped and written in a program. */
const char *vmt_why_no_room(int error);

#endif
