/*
 * site_judge.h: is a syscall in a program's code one that can be cut, as far as it shows by itself?
 *
 * Known code is told by its bytes. Elsewhere it must be certain where instructions begin. Who jumps
 * where is another question (inject/code_jumps.h). Pure; the map is settled.
 */
#ifndef VMT_SITE_JUDGE_H
#define VMT_SITE_JUDGE_H

#include "inject/code_map.h"
#include "inject/site_candidate.h"

#include <stddef.h>
#include <stdint.h>

/* Where bytes are no known instruction, ascending. */
struct vmt_unknown_code {
	const uint64_t *addresses;
	size_t count;
};

/* An enum vmt_site_verdict: VMT_SITE_CUT, or what it is instead. */
uint8_t vmt_site_judge(const struct vmt_code_map *map, const struct vmt_unknown_code *unknown,
		       const struct vmt_site_candidate *candidate);

#endif
