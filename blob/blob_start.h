/*
 * blob_start.h: begins to record a process that the blob was put into
 *
 * The blob is base/, format/, unwind/ and capture/ without a C library, linked into one object
 * whose addresses the injector fills in (inject/blob_image.h). The process stands, traced, with a
 * single thread; vmt_blob_parameters is filled in. The injector lets the thread run from
 * vmt_blob_start on, with any registers: the blob brings its own stack. When recording has begun,
 * or can't, the thread sends itself SIGURG. A traced thread stops for that, and the injector takes
 * it over; else the kernel ignores it, and the thread goes on by itself where it is told to: so
 * nothing is lost should the injector die meanwhile.
 */
#ifndef VMT_BLOB_START_H
#define VMT_BLOB_START_H

#include "blob/blob_parameters.h"

extern struct vmt_blob_parameters vmt_blob_parameters;

/* Not to be called from C. */
void vmt_blob_start(void);

/* Nor this: vmt_raw_entry_site of capture/entry/raw_entry.h. */
void vmt_blob_entry(void);

#endif
