/*
 * go_classes.h: which part of a Go runtime's memory a mapping is.
 *
 * Told by evidence alone: the functions on the stack of the call that mapped it, or the name that
 * the runtime gave its pages (Go 1.25 and newer, where the kernel keeps such names). The innermost
 * function that tells decides: arenas are reserved and later mapped again, from other stacks, and
 * memory that (*mheap).sysAlloc gets directly is its index, not an arena. Function names are those
 * of Go 1.18 to 1.26. Pure functions.
 *
 * Spans inside arenas can't be told apart from outside, so goroutines' stacks are part of the Go
 * heap here; the runtime's own counters tell how much that is.
 */
#ifndef VMT_GO_CLASSES_H
#define VMT_GO_CLASSES_H

#include "format/go_roles.h"
#include "tools/model/space/classes.h"
#include "tools/read/symbols/symbols.h"

/* What a frame tells, by its name (format/go_roles.h). */
enum vmt_go_role vmt_go_classes_role(const struct vmt_symbol *frame);

/* Of a call's stack, innermost frame first; `otherwise` where the runtime did not make the call: C
 * code did, or other Go code, by the packages syscall or golang.org/x/sys/unix. */
enum vmt_class_id vmt_go_classes_of_stack(const enum vmt_go_role *roles, size_t count,
					  enum vmt_class_id otherwise);

/* Of a thread's stack, by the stack that started it. */
enum vmt_class_id vmt_go_classes_of_thread(const enum vmt_go_role *roles, size_t count,
					   enum vmt_class_id otherwise);

/* Of a mapping's path in /proc/PID/maps, "[anon: Go: heap]"; VMT_CLASSES where it says nothing. */
enum vmt_class_id vmt_go_classes_of_name(const char *path, size_t path_bytes);

#endif
