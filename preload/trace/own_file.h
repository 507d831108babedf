/*
 * own_file.h: the file that this library was loaded from, and the blob in it
 *
 * The file carries the recorder for programs that load no library (blob/blob_start.h), in a section
 * that no loader maps: a program that loads the library has none of it. A file may have been
 * replaced since it was loaded, and another version has other orders and another blob. Raw system
 * calls only; single-threaded.
 */
#ifndef VMT_OWN_FILE_H
#define VMT_OWN_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a file begins as the library does in memory: its headers and build-id. */
bool vmt_own_file_is(const char *path);

struct vmt_own_file_blob {
	const unsigned char *bytes;
	size_t count;
};

/* Mapped for good. 0 bytes: the file is not this library's, has none, or can't be mapped. */
struct vmt_own_file_blob vmt_own_file_map_blob(const char *path);

#endif
