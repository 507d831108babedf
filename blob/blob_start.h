/*
 * blob_start.h: begins to record a process that the blob was put into
 *
 * The blob is base/, format/, unwind/ and capture/ without a C library, linked into one object
 * whose addresses the injector fills in (inject/blob_image.h). The process stands, traced, with a
 * single thread; vmt_blob_parameters is filled in. The injector lets the thread run from
 * vmt_blob_start on, with any registers: the blob brings its own stack. When recording has begun,
 * or can't, the thread sends itself a signal, the one that it is told: SIGURG where nothing has run
 * yet. A traced thread stops for that, and the injector takes it over; else the kernel ignores it,
 * and the thread goes on by itself where it is told to: so nothing is lost should the injector die
 * meanwhile.
 *
 * A program that is attached to has other threads, which stand; the thread goes on with
 * rt_sigreturn then (inject/return_frame.h). It may have handlers for all such signals: there none
 * is sent, and the injector lets the thread run from system call to system call.
 */
#ifndef VMT_BLOB_START_H
#define VMT_BLOB_START_H

#include "blob/blob_parameters.h"

extern struct vmt_blob_parameters vmt_blob_parameters;

/* Not to be called from C. */
void vmt_blob_start(void);

/* Run in the same way where the program was attached to, with all other threads stopped: ends the
 * recording, and unmaps the trace and the tables where no thread needs them. */
void vmt_blob_end(void);

/* Nor this: vmt_raw_entry_site of capture/entry/raw_entry.h. */
void vmt_blob_entry(void);

#endif
