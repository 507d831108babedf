/*
 * strings.h: where do a report's many equal strings live?
 *
 * One copy of each, until the set is freed. One thread at a time.
 */
#ifndef VMT_STRINGS_H
#define VMT_STRINGS_H

#include <stddef.h>

struct vmt_strings;

struct vmt_strings *vmt_strings_new(void);
void vmt_strings_free(struct vmt_strings *strings);

/* The set's copy, NUL-terminated; an embedded NUL ends it. NULL: no memory. */
char *vmt_strings_intern(struct vmt_strings *strings, const char *bytes, size_t length);

#endif
