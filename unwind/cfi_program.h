/*
 * cfi_program.h: runs a call frame program up to one address
 *
 * Interprets DW_CFA instructions (DWARF 5, section 6.4.2; LSB 5.0 for the GNU ones) for the CFA,
 * rbp and the return address alone. No allocation; thread and signal safe.
 */
#ifndef VMT_CFI_PROGRAM_H
#define VMT_CFI_PROGRAM_H

#include "unwind/cfi_cursor.h"

enum vmt_cfi_cfa { VMT_CFI_CFA_ODD, VMT_CFI_CFA_RSP, VMT_CFI_CFA_RBP, VMT_CFI_CFA_LOAD };

enum vmt_cfi_saved {
	VMT_CFI_SAVED_ODD,	 /* lost, or by a way that is not followed */
	VMT_CFI_SAVED_UNDEFINED, /* said to be undefined */
	VMT_CFI_SAVED_SAME,
	VMT_CFI_SAVED_CFA, /* at CFA + offset */
	VMT_CFI_SAVED_RBP, /* at rbp + offset */
};

struct vmt_cfi_register {
	enum vmt_cfi_saved saved;
	int64_t offset;
};

struct vmt_cfi_row {
	enum vmt_cfi_cfa cfa;
	int64_t cfa_offset; /* LOAD: the CFA is the word at rbp + offset */
	struct vmt_cfi_register rbp;
	struct vmt_cfi_register ra;
};

struct vmt_cfi_program {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_register;
	uint8_t pointer_encoding;
	uint64_t location; /* that the current row begins at */
	uint64_t address;  /* the one asked about */
	struct vmt_cfi_row row;
	struct vmt_cfi_row initial; /* after the CIE's program */
};

/* Runs instructions until they end or speak of later addresses. The row is the result; false: not
 * understood. */
bool vmt_cfi_program_run(struct vmt_cfi_program *program, struct vmt_cfi_cursor *code);

#endif
