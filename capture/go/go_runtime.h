/*
 * go_runtime.h: finds the Go runtime in the process, and what can be seen of it
 *
 * At load, looks for the build note of Go's linker ("Go", type 4) in the program and in the shared
 * objects loaded with it, and for what else that linker writes in a program without the note. Reads
 * the files that have one (go_image.h), patches the runtime's raw system calls (go_patch.h), tells
 * the stack walker of Go's code (go_stack.h), and keeps all that as the table that every trace of
 * the process carries (format/go.h).
 *
 * In a library only runtimes with runtime/cgo: without it the runtime makes its threads by itself,
 * and what the C library keeps beside the thread pointer is not there. Only while there is a single
 * thread.
 */
#ifndef VMT_GO_RUNTIME_H
#define VMT_GO_RUNTIME_H

#include "format/head.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>

/* Lists what is loaded, as dl_iterate_phdr does. */
typedef int vmt_go_runtime_list(int (*visit)(struct dl_phdr_info *info, size_t size, void *context),
				void *context);

/* Constructor only: calls the loader, opens files. `wanted` false: leaves the text alone.
 * `profile`: the runtime is to keep a memory profile, and has not started. Before it the tracer's
 * own mappings, after it the PRESENT events. True: some system call goes to the entry from now on.
 */
bool vmt_go_runtime_set_up(vmt_go_runtime_list *list, bool wanted, bool profile, const void *entry);

/* Copies the table, and what the code tells of memory calls, into the head of a trace. */
void vmt_go_runtime_describe(struct vmt_head *head);

#endif
