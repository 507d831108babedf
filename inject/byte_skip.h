/*
 * byte_skip.h: passes by bytes in which byte_scan.h finds nothing, by the machine's wide registers
 *
 * Most of a program's code has nothing of what is looked for. Each function returns where it has
 * come to from `at`, a multiple of VMT_BYTE_SKIP_PLACES further on: nothing is found before that
 * place. It reads bytes [at, end) alone. Where the machine has no AVX2, or its kernel does not
 * keep those registers, it returns `at`. Pure; thread safe.
 */
#ifndef VMT_BYTE_SKIP_H
#define VMT_BYTE_SKIP_H

#include "inject/byte_scan.h"

#include <stdint.h>

#define VMT_BYTE_SKIP_PLACES 32u
/* What is read behind the last place of VMT_BYTE_SKIP_PLACES. */
#define VMT_BYTE_SKIP_BEHIND 3u

/* Of vmt_byte_scan_pairs. */
uint64_t vmt_byte_skip_pairs(const uint8_t *bytes, uint64_t at, uint64_t end, uint8_t first,
			     uint8_t second);

/* Of vmt_byte_scan_either. */
uint64_t vmt_byte_skip_neither(const uint8_t *bytes, uint64_t at, uint64_t end,
			       const struct vmt_byte_scan_bounds *one,
			       const struct vmt_byte_scan_bounds *other);

/* Of vmt_byte_scan_words. */
uint64_t vmt_byte_skip_words(const uint8_t *bytes, uint64_t at, uint64_t end, uint64_t low,
			     uint64_t high);

#endif
