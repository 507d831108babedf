/*
 * symbols_elf.h: what does an ELF file say of itself, and which symbol covers an address?
 *
 * Build-id, debuglink, and the symbol table (.symtab, else .dynsym) sorted by address. Opens only
 * regular files. Owns the descriptor and everything it returns. Bytes of the file are untrusted:
 * what makes no sense is left out.
 */
#ifndef VMT_SYMBOLS_ELF_H
#define VMT_SYMBOLS_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_symbols_elf;

/* NULL and *why (a static string) where it is not a readable ELF file. */
struct vmt_symbols_elf *vmt_symbols_elf_open(const char *path, const char **why);
void vmt_symbols_elf_close(struct vmt_symbols_elf *file);

/* libelf's handle, for libdw. */
void *vmt_symbols_elf_handle(struct vmt_symbols_elf *file);

/* The file's bytes, as long as it is open; NULL where they can't be had. */
const unsigned char *vmt_symbols_elf_bytes(struct vmt_symbols_elf *file, size_t *length);

/* Bytes of the build-id; 0 = none. */
size_t vmt_symbols_elf_build_id(struct vmt_symbols_elf *file, const unsigned char **id);

/* Name of the separate debug file and its CRC-32, or NULL. */
const char *vmt_symbols_elf_debuglink(struct vmt_symbols_elf *file, uint32_t *checksum);

/* Name of the file that dwz moved what several share into, and that file's build-id, or NULL. */
const char *vmt_symbols_elf_altlink(struct vmt_symbols_elf *file, const unsigned char **id,
				    size_t *id_bytes);

/* Whether it holds debug information of its own. */
bool vmt_symbols_elf_has_dwarf(struct vmt_symbols_elf *file);

/* CRC-32 of the whole file, as .gnu_debuglink has it; false where it can't be read. */
bool vmt_symbols_elf_checksum(struct vmt_symbols_elf *file, uint32_t *checksum);

/* Whether there is a full symbol table, not only the exported names. */
bool vmt_symbols_elf_has_symtab(struct vmt_symbols_elf *file);

/* Name of the function symbol that covers the address, or NULL. */
const char *vmt_symbols_elf_find(struct vmt_symbols_elf *file, uint64_t address);

#endif
