/*
 * view_numbers.h: numbers that JavaScript can hold.
 *
 * Its numbers are exact up to 2^53 - 1. More is written as that; the page then says "8 PiB or
 * more". Stateless.
 */
#ifndef VMT_VIEW_NUMBERS_H
#define VMT_VIEW_NUMBERS_H

#include "format/chunk.h"
#include "tools/render/emitter.h"

#include <stdint.h>

#define VMT_VIEW_NUMBER_MOST ((UINT64_C(1) << 53) - 1)

static inline void
vmt_view_number(struct vmt_emitter *emitter, const char *key, uint64_t value)
{
	vmt_emitter_u64(emitter, key, value < VMT_VIEW_NUMBER_MOST ? value : VMT_VIEW_NUMBER_MOST);
}

/* null where it is VMT_FIGURE_UNKNOWN. */
static inline void
vmt_view_known(struct vmt_emitter *emitter, const char *key, uint64_t value)
{
	if (value == VMT_FIGURE_UNKNOWN)
		vmt_emitter_string(emitter, key, NULL);
	else
		vmt_view_number(emitter, key, value);
}

#endif
