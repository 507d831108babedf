/*
 * cfi_rule.h: how the caller of a code address is found, packed into 32 bits
 *
 * Rules cover what compilers emit for x86-64: CFA from rsp or rbp, rbp in place or saved below the
 * CFA, the return address just below the CFA, PLT stubs, realigned frames (CFA loaded from below
 * rbp), signal frames. Everything else is left to frame pointers.
 */
#ifndef VMT_CFI_RULE_H
#define VMT_CFI_RULE_H

#include <stdint.h>

enum vmt_cfi_rule_kind {
	VMT_CFI_NONE,	       /* no rule: an empty entry */
	VMT_CFI_STACK,	       /* CFA = rsp + 8 * cfa words */
	VMT_CFI_FRAME,	       /* CFA = rbp + 8 * cfa words */
	VMT_CFI_LOAD,	       /* CFA = word at rbp - 8 * cfa words, caller's rbp at rbp */
	VMT_CFI_SIGNAL,	       /* rsp points to a ucontext with all registers */
	VMT_CFI_FRAME_POINTER, /* nothing known, or too odd: try rbp as a frame pointer */
	VMT_CFI_END,	       /* outermost frame */
};

/* Rules: bits 0..2 kind, 3..18 cfa words, 19..28 caller's rbp at CFA - 8 * that many words; 0 = it
 * is still in rbp, VMT_CFI_RBP_LOST = nowhere. */
#define VMT_CFI_RULE_BITS 29
#define VMT_CFI_CFA_WORDS_MAX 0xffffu
#define VMT_CFI_RBP_LOST 0x3ffu

static inline uint32_t
vmt_cfi_rule_pack(enum vmt_cfi_rule_kind kind, uint32_t cfa_words, uint32_t rbp_words)
{
	return (uint32_t)kind | cfa_words << 3 | rbp_words << 19;
}

static inline enum vmt_cfi_rule_kind
vmt_cfi_rule_kind(uint32_t rule)
{
	return (enum vmt_cfi_rule_kind)(rule & 7);
}

static inline uint64_t
vmt_cfi_rule_cfa_bytes(uint32_t rule)
{
	return (uint64_t)(rule >> 3 & VMT_CFI_CFA_WORDS_MAX) * 8;
}

static inline uint64_t
vmt_cfi_rule_rbp_words(uint32_t rule)
{
	return rule >> 19;
}

#endif
