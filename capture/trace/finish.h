/*
 * finish.h: ends the recording of a process that ends by its own will
 *
 * The exit hooks (exit, _exit, _Exit, quick_exit) call vmt_finish before the real function;
 * the library's destructor calls it for a return from main, whose status it can't know: the
 * collector's to learn, and VMT_STATUS_UNKNOWN where there is none. It writes the EXIT event and
 * the head's end, asks the collector for a last snapshot and waits for it while the collector's
 * heartbeat is fresh: at most 20 ms (VMTRACE_EXIT_WAIT), or a hundredth of the process's life, or a
 * tenth once the snapshot is being taken, up to 2 s (it takes some 4 ms a resident GiB). A
 * collector that has left, has refused the trace or can't see the process is not waited for.
 * Further calls do nothing, nor do calls from a process that is not recorded or from a vfork child.
 * Keeps errno. Async-signal-safe.
 */
#ifndef VMT_FINISH_H
#define VMT_FINISH_H

#include "base/fork_code.h"
#include "format/event.h"

#define VMT_FINISH_WAIT_MAX_NS UINT64_C(2000000000)

VMT_FORK_CODE void vmt_finish(int status, enum vmt_exit_path path);

#endif
