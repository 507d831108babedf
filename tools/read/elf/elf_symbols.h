/*
 * elf_symbols.h: build-id and symbol table of an ELF file.
 *
 * Build-id, debuglink, and the symbol table (.symtab, else .dynsym) sorted by address. Opens only
 * regular files. Owns the descriptor and everything it returns. Bytes of the file are untrusted:
 * what makes no sense is left out.
 */
#ifndef VMT_ELF_SYMBOLS_H
#define VMT_ELF_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_elf_symbols;

/* NULL and *why (a static string) where it is not a readable ELF file. */
struct vmt_elf_symbols *vmt_elf_symbols_open(const char *path, const char **why);
/* Of a file that is open, which is the struct's from then on, or closed; negative: it could not be
 * opened. */
struct vmt_elf_symbols *vmt_elf_symbols_open_fd(int fd, const char **why);
void vmt_elf_symbols_close(struct vmt_elf_symbols *file);

/* The open file. */
int vmt_elf_symbols_fd(const struct vmt_elf_symbols *file);

/* libelf's handle, for libdw. */
void *vmt_elf_symbols_handle(struct vmt_elf_symbols *file);

/* The file's bytes, as long as it is open; NULL where they can't be had. */
const unsigned char *vmt_elf_symbols_bytes(struct vmt_elf_symbols *file, size_t *length);

/* Bytes of the build-id; 0 = none. */
size_t vmt_elf_symbols_build_id(struct vmt_elf_symbols *file, const unsigned char **id);

/* Name of the separate debug file and its CRC-32, or NULL. */
const char *vmt_elf_symbols_debuglink(struct vmt_elf_symbols *file, uint32_t *checksum);

/* Name of the file that dwz moved what several share into, and that file's build-id, or NULL. */
const char *vmt_elf_symbols_altlink(struct vmt_elf_symbols *file, const unsigned char **id,
				    size_t *id_bytes);

/* Whether it holds debug information of its own. */
bool vmt_elf_symbols_has_dwarf(struct vmt_elf_symbols *file);

/* CRC-32 of the whole file, as .gnu_debuglink has it; false where it can't be read. */
bool vmt_elf_symbols_checksum(struct vmt_elf_symbols *file, uint32_t *checksum);

/* Whether there is a full symbol table, not only the exported names. */
bool vmt_elf_symbols_has_symtab(struct vmt_elf_symbols *file);

/* Name of the function symbol that covers the address, or NULL. */
const char *vmt_elf_symbols_find(struct vmt_elf_symbols *file, uint64_t address);

#endif
