/*
 * trace_cache.h: what was made of a trace, kept for the next time that it is read.
 *
 * Bytes are kept by the trace and by the build of this program: the file's device, inode, size,
 * times of change, the head's random id, and the program's build id. A trace that was changed, and
 * another build, find nothing. The files lie in $XDG_CACHE_HOME/vmtrace, or in ~/.cache/vmtrace: a
 * directory that is the user's own, and nobody else's to look into or to write to. What else is
 * found there is left alone, and nothing is kept or read.
 *
 * A file is written under another name and renamed, and has a checksum. One that is torn, damaged
 * or somebody else's is as none. All files together have at most VMT_TRACE_CACHE_MOST_BYTES; those
 * that were not used for longest go first. Nothing here is told to the user, and nothing fails: a
 * trace of which nothing is kept is read as ever. Any thread, one call at a time.
 */
#ifndef VMT_TRACE_CACHE_H
#define VMT_TRACE_CACHE_H

#include "tools/read/trace/trace.h"

#define VMT_TRACE_CACHE_MOST_BYTES (UINT64_C(256) << 20)

/* Which trace it is, as the file stands now. */
struct vmt_trace_cache_key {
	bool is_known; /* false: nothing is kept of it */
	unsigned char bytes[128];
};

/* Just after the trace was opened. */
void vmt_trace_cache_describe(const struct vmt_trace *trace, struct vmt_trace_cache_key *key);

/* What is kept of it, to be freed. False: nothing is. */
bool vmt_trace_cache_read(const struct vmt_trace_cache_key *key, unsigned char **bytes,
			  size_t *count);

/* Keeps these bytes in the place of what was kept, if that can be done, and if the file is as it
 * was when the key was made. */
void vmt_trace_cache_write(const struct vmt_trace *trace, const struct vmt_trace_cache_key *key,
			   const void *bytes, size_t count);

#endif
