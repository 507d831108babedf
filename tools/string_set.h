/*
 * string_set.h: equal strings, stored once
 *
 * One copy of each, until the set is freed. One thread at a time.
 */
#ifndef VMT_STRING_SET_H
#define VMT_STRING_SET_H

#include <stddef.h>

struct vmt_string_set;

struct vmt_string_set *vmt_string_set_new(void);
void vmt_string_set_free(struct vmt_string_set *strings);

/* The set's copy, NUL-terminated; an embedded NUL ends it. NULL: no memory. */
char *vmt_string_set_intern(struct vmt_string_set *strings, const char *bytes, size_t length);

#endif
