/*
 * go_advice.h: why a Go runtime gave an advice.
 *
 * By the functions on the stack (Go 1.19 to 1.26: runtime/mgcscavenge.go, mheap.go, mem_linux.go).
 * A static string for people, NULL where the stack tells nothing. Pure.
 */
#ifndef VMT_GO_ADVICE_H
#define VMT_GO_ADVICE_H

#include "tools/model/report/report.h"

const char *vmt_go_advice_of(const struct vmt_stack_frames *stack);

#endif
