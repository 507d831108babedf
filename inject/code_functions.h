/*
 * code_functions.h: functions in the order in which they lie
 *
 * Pure; needs no memory of its own.
 */
#ifndef VMT_CODE_FUNCTIONS_H
#define VMT_CODE_FUNCTIONS_H

#include <stddef.h>
#include <stdint.h>

/* [start, end) */
struct vmt_code_function {
	uint64_t start;
	uint64_t end;
};

/* Sorts them by where they start. Of two that overlap the later start bounds the earlier; of the
 * same start the longest stays. Returns how many are left. */
size_t vmt_code_functions_settle(struct vmt_code_function *functions, size_t count);

#endif
