/*
 * cfi.h: finds the rule for a code address, with a table of those found
 *
 * Turns .eh_frame (LSB 5.0 Core, section 10.6; DWARF 5, section 6.4) into one 32-bit rule an
 * address, and remembers rules in a process-wide table. The table has two entries a bucket; an
 * entry is one 64-bit word that holds a rule and the whole rest of the address that the bucket's
 * number does not tell, so that it is read and replaced by single loads and stores: there is no
 * torn, half-made or mistaken entry, and no lock. Lost entries are made again.
 *
 * Rules cover what compilers emit for x86-64: CFA from rsp or rbp, rbp in place or saved below the
 * CFA, the return address just below the CFA, PLT stubs, realigned frames (CFA loaded from below
 * rbp), signal frames. Everything else is left to frame pointers.
 *
 * Module contents are read only on a miss, under vmt_modules_begin_read, inside the bounds of the
 * segment that holds .eh_frame_hdr. Lock-free, no system call, no allocation, async-signal-safe.
 */
#ifndef VMT_CFI_H
#define VMT_CFI_H

#include "base/atomic.h"
#include "unwind/cfi_rule.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_CFI_BUCKET_BITS 13
#define VMT_CFI_TAG_BITS (48 - VMT_CFI_BUCKET_BITS)
#define VMT_CFI_TAG_MASK ((UINT64_C(1) << VMT_CFI_TAG_BITS) - 1)

_Static_assert(VMT_CFI_TAG_BITS + VMT_CFI_RULE_BITS == 64, "an entry is one word");

/* Bits 0..34 tag, 35..63 rule. */
extern uint64_t vmt_cfi_table[2u << VMT_CFI_BUCKET_BITS];

/* Multiplying by an odd number is a bijection of 48-bit addresses: bucket and tag together tell
 * the address, and the bucket comes from the well-mixed high bits. */
static inline uint64_t
vmt_cfi_scramble(uint64_t address)
{
	return address * UINT64_C(0x9e3779b97f4b) & ((UINT64_C(1) << 48) - 1);
}

/* Finds and remembers the rule that the tables do not have. */
uint32_t vmt_cfi_find_slow(uint64_t address);

/* The rule for a code address below 2^47 (a return address minus one, or where a signal struck).
 * Never NONE. */
static inline uint32_t
vmt_cfi_find(uint64_t address)
{
	uint64_t key = vmt_cfi_scramble(address);
	const uint64_t *bucket = &vmt_cfi_table[(key >> VMT_CFI_TAG_BITS) * 2];

	for (int i = 0; i < 2; i++) {
		uint64_t entry = vmt_atomic_load_relaxed(&bucket[i]);
		uint32_t rule = (uint32_t)(entry >> VMT_CFI_TAG_BITS);

		if (((entry ^ key) & VMT_CFI_TAG_MASK) == 0 && rule != 0)
			return rule;
	}
	return vmt_cfi_find_slow(address);
}

/* Has every rule forgotten when modules come or go. Set-up. */
void vmt_cfi_set_up(void);

/* Forgets every rule. */
void vmt_cfi_forget(void);

#endif
