/*
 * birth.h: threads and children that raw calls of the program have made
 *
 * Told afterwards, in the parent. Call between vmt_guard_enter and vmt_guard_leave. Not written:
 * children that run in their parent's memory until they execute (vfork, posix_spawn). Signal safe.
 */
#ifndef VMT_BIRTH_H
#define VMT_BIRTH_H

#include "capture/record/raw_call.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether it is such a result, instead of a call's number; and which (format/raw_calls.h). */
bool vmt_birth_is_one(long number);
long vmt_birth_result(long number);

/* The words are the call's own. */
void vmt_birth_note(const struct vmt_raw_call *call, uint32_t stack);

#endif
