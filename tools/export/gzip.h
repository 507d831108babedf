/*
 * gzip.h: bytes as a gzip file.
 *
 * The same bytes give the same file: no name and no time stands in it. Stateless, thread safe.
 */
#ifndef VMT_GZIP_H
#define VMT_GZIP_H

#include <stddef.h>

/* The compressed bytes, to be freed, and their length. NULL: no memory. */
unsigned char *vmt_gzip_pack(const unsigned char *bytes, size_t length, size_t *packed);

#endif
