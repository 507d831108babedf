/*
 * gzip_base64.h: a stream whose bytes end up in another file as base64 of gzip.
 *
 * What is written to the stream is compressed and encoded as it comes: memory does not grow with
 * it. Lines of base64 are 4,000 characters long. The stream is closed by fclose, which writes the
 * end; the other file stays open and is the caller's. Errors of writing stay in the other file too.
 * One thread's. Formats: RFC 1952 (gzip), RFC 4648 (base64).
 */
#ifndef VMT_GZIP_BASE64_H
#define VMT_GZIP_BASE64_H

#include <stdio.h>

/* NULL with errno set: no memory. */
FILE *vmt_gzip_base64_open(FILE *out);

#endif
