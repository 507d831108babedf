/*
 * dwarf_input.h: what does an input of fuzz_dwarf hold?
 *
 * The sections of debug information of a program, each behind its length (16 bits): an ELF file is
 * put together from them, so that no mutation is lost on its head. Code lies at DWARF_INPUT_CODE.
 */
#ifndef VMT_DWARF_INPUT_H
#define VMT_DWARF_INPUT_H

#define DWARF_INPUT_CODE 0x1000u

static const char *const dwarf_input_sections[] = {
    ".debug_abbrev", ".debug_info", ".debug_line",     ".debug_str",
    ".debug_ranges", ".debug_addr", ".debug_rnglists", ".debug_line_str",
};

#define DWARF_INPUT_SECTIONS (sizeof(dwarf_input_sections) / sizeof(*dwarf_input_sections))

#endif
