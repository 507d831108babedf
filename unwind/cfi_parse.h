/*
 * cfi_parse.h: finds what a module's .eh_frame says about one code address
 *
 * Binary search in .eh_frame_hdr, then the CIE's and the FDE's call frame program up to the
 * address. Formats: LSB 5.0 Core, section 10.6 (.eh_frame, .eh_frame_hdr, augmentations z R P L S
 * B); DWARF 5, sections 2.5 and 6.4.2; the PLT expression and the realigned frame's expressions as
 * GNU ld and GCC write them. Reads only [frames_low, frames_high) of the module, and trusts none of
 * it. No allocation, no system call; thread and signal safe while the module stays mapped.
 */
#ifndef VMT_CFI_PARSE_H
#define VMT_CFI_PARSE_H

#include "unwind/cfi_cursor.h"
#include "unwind/loaded_module.h"

/* A rule of cfi_rule.h; FRAME_POINTER where there is none that could be packed. */
uint32_t vmt_cfi_parse(const struct vmt_loaded_module *module, uint64_t address);

/* The same of copies of the FDE and of its CIE, each from its first byte on, wherever they lie now.
 * The address is moved as far as the FDE was, which must be by a multiple of 16 bytes. Rules of
 * tables with absolute addresses are not found so. */
uint32_t vmt_cfi_parse_records(struct vmt_cfi_cursor fde, struct vmt_cfi_cursor cie,
			       uint64_t address);

#endif
