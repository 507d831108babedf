/*
 * quarantine.h: traces that are left out for a while, since who read them was lost.
 *
 * Traces are untrusted: one may kill the process that reads it, or hold it until its time is over.
 * Each answer would fail then, as long as the trace lies there. So whoever reads a trace says so in
 * memory that it shares with the server, and the server leaves the trace out for
 * VMT_QUARANTINE_NS, then lets it be tried again.
 *
 * A file is known by its path and its inode. What a lost process left in the shared memory is
 * untrusted too. At most VMT_QUARANTINE_MOST are left out: one more takes the place of the oldest.
 * The server and one process that reads use it by turns; nothing locks.
 */
#ifndef VMT_QUARANTINE_H
#define VMT_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_QUARANTINE_MOST 1024u
#define VMT_QUARANTINE_NS (600 * INT64_C(1000000000))
#define VMT_QUARANTINE_PATH_BYTES 4096u

struct vmt_quarantine;

/* Shared with the processes that this one forks from now on. NULL: no memory. */
struct vmt_quarantine *vmt_quarantine_new(void);
void vmt_quarantine_free(struct vmt_quarantine *quarantine);

/* Who reads: begins with a trace. False: it is left out, and nothing has begun. */
bool vmt_quarantine_enter(struct vmt_quarantine *quarantine, const char *path);
/* It was read, or could not be read. */
void vmt_quarantine_leave(struct vmt_quarantine *quarantine);

/* The server, when who read was lost: leaves out the trace that it read, if it read one for
 * least_ns. The path of that trace is in path, each control character as "?". False: none is left
 * out. */
bool vmt_quarantine_blame(struct vmt_quarantine *quarantine, int64_t least_ns,
			  char path[VMT_QUARANTINE_PATH_BYTES]);

#endif
