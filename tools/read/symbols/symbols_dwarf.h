/*
 * symbols_dwarf.h: source lines; the one file that knows libdw.
 *
 * The one file that knows libdw. It keeps an index of its own over the units' address ranges:
 * .debug_aranges lacks most units of cgo and clang programs, and libdw's own look-up then answers
 * with wrong lines. Functions of a unit are indexed when it is first met. Strings belong to libdw
 * and live until close. Single-threaded.
 */
#ifndef VMT_SYMBOLS_DWARF_H
#define VMT_SYMBOLS_DWARF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_symbols_dwarf;

#define VMT_SYMBOLS_DWARF_SCOPE_BYTES 512u

struct vmt_symbols_dwarf_frame {
	const char *name;			   /* as written in the source; NULL = not known */
	const char *linkage_name;		   /* mangled; NULL = none */
	char scope[VMT_SYMBOLS_DWARF_SCOPE_BYTES]; /* where there is none: "space::type::", or "" */
	const char *file;
	uint32_t line;
	bool inlined;
};

/* Takes libelf's handle, and that of what dwz moved out of it (NULL = nothing); both must stay
 * open. NULL where it holds no units. libdw opens files that these name (.dwo), unless it can't:
 * who does not trust them sees to that. */
struct vmt_symbols_dwarf *vmt_symbols_dwarf_open(void *elf, void *alternate);
void vmt_symbols_dwarf_close(struct vmt_symbols_dwarf *dwarf);

/* Innermost frame first; how many, at most `room`. */
size_t vmt_symbols_dwarf_find(struct vmt_symbols_dwarf *dwarf, uint64_t address,
			      struct vmt_symbols_dwarf_frame *frames, size_t room);

/* Offset and size of a member in a variable of a Go package, as vmt_symbols_go_member has it. */
bool vmt_symbols_dwarf_member(struct vmt_symbols_dwarf *dwarf, const char *variable,
			      const char *path, uint64_t *offset, uint64_t *bytes);

#endif
