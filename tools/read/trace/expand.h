/*
 * expand.h: a trace that was compressed as a whole, as the file that it was.
 *
 * .vmt.gz and .vmt.zst, known by their first bytes, whatever the name. Written into a temporary
 * file without a name, in TMPDIR, else /var/tmp or /tmp; where none takes it, into memory. What is
 * all zeros stays a hole. Bytes are untrusted: what holds no trace is refused by its first bytes,
 * and a file that expands to far more than any trace does once it has.
 */
#ifndef VMT_EXPAND_H
#define VMT_EXPAND_H

#include "tools/err.h"

#include <stdbool.h>
#include <stdint.h>

/* A trace holds what is compressed already, and holes. So many bytes, and so many for each byte of
 * the compressed file: that are not in a hole, and with the holes. */
#define VMT_EXPAND_DATA_BYTES (UINT64_C(256) << 20)
#define VMT_EXPAND_WHOLE_BYTES (UINT64_C(4) << 30)
#define VMT_EXPAND_RATIO 64u

/* Whether a file is a compressed one. */
bool vmt_expand_is_wanted(int fd);
/* The same by its path; to expand one takes long. */
bool vmt_expand_is_wanted_of(const char *path);

/* Where *fd is of a compressed file, it becomes that of the expanded one, and the other is closed;
 * else it stays. path is for messages. 0, or a negative errno with a message. */
int vmt_expand_file(int *fd, const char *path, bool *was_compressed, struct vmt_err *err);

#endif
