/*
 * attach.h: puts the recorder into a program that runs
 *
 * All threads are stopped, a moment is awaited in which none of them stands in what is to be
 * replaced, and one of them is made to map the blob (blob/blob_start.h) and to run its beginning.
 * Then the program's raw memory calls are led to it, and the threads are let go, as they were:
 * nothing stays but mappings, none of which can be written and executed.
 *
 * Should this process die at any moment, the program goes on, recorded in full, in part or not at
 * all: calls are guarded (remote_call.h), and each change of the text is one write within a page
 * that no thread stands in.
 *
 * x86-64 alone. Single-threaded: attach and detach (detach.h) come from one thread.
 */
#ifndef VMT_ATTACH_H
#define VMT_ATTACH_H

#include "inject/attached.h"

#include <stdbool.h>

/* True: it is recorded. False: it goes on as it would have, and `why` says why: as if nothing had
 * been done; but where the recorder has begun to run there and gave no answer, for 20 s or ever,
 * its mappings stay, unused, and a file that it had open just then; `why` says that too. Where
 * is_held is set as well this process has to end soon: a thread stands when it comes to its stop,
 * until then. The caller closes it in any case. */
bool vmt_attach_run(struct vmt_attach *attach);

/* Whether vmt_attach_run can be tried, as far as it is known without a stop: by pid alone, which is
 * all of `attach` that has to be filled in. False: `why` says why not. The caller closes it. */
bool vmt_attach_can_try(struct vmt_attach *attach);

void vmt_attach_close(struct vmt_attach *attach);

#endif
