/*
 * lookup_limits.h: what one child that looks up symbols may cost.
 */
#ifndef VMT_LOOKUP_LIMITS_H
#define VMT_LOOKUP_LIMITS_H

#include <stdint.h>

struct vmt_lookup_limits {
	uint64_t memory_bytes; /* more than the asker has */
	uint32_t cpu_seconds;  /* for one answer */
	uint32_t wait_ms;      /* until it must be there; for all of a module twice that */
};

#endif
