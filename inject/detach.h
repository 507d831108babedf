/*
 * detach.h: leaves a program that the recorder was put into while it ran (attach.h)
 *
 * The program's code is put back first. Then a moment is awaited, for a bounded time, in which no
 * thread is in the recorder: its mappings go, all of them. Else they stay, unused. The trace says
 * that its process was left. Where not even the recording could be ended, parameters.state is not
 * VMT_BLOB_ENDED, `why` says why, and this can be called again later; is_held: as for attach.h.
 * Should this process die meanwhile, the program goes on, with some of it done.
 *
 * A thread in the recorder may wait for the collector. Where that is the calling thread's work, it
 * does that between short tries.
 *
 * By the thread that attached. x86-64 alone.
 */
#ifndef VMT_DETACH_H
#define VMT_DETACH_H

#include "inject/attach.h"

enum vmt_detach_result {
	VMT_DETACH_DONE,  /* the program is what it was */
	VMT_DETACH_STAYS, /* its code is; unused mappings stay, as a thread may come back to them */
	/* Its code is; no call can be made in it, by a filter of system calls or for want of a
	 * stack. Unused mappings stay, and it does not know that it was left. */
	VMT_DETACH_MUTE,
	VMT_DETACH_GONE,   /* it has ended, or has become another program */
	VMT_DETACH_FAILED, /* `why` says why: its code was not put back, or in part */
	VMT_DETACH_BUSY,   /* of a short try: no such moment came, its code may be put back */
};

enum vmt_detach_result vmt_detach_run(struct vmt_attach *attach);

/* The same, but for some milliseconds, beside the time for which the threads stand. */
enum vmt_detach_result vmt_detach_try(struct vmt_attach *attach);

#endif
