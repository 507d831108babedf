/*
 * elf_lookup.h: finds functions in the loader's order, before and behind this library
 *
 * Where is a function defined, behind this library or at all; and are we the first copy of it?
 * Walks the loaded files in that order (dl_iterate_phdr) and looks the name up in their
 * DT_GNU_HASH or DT_HASH tables (System V gABI chapter 5; the GNU hash as in glibc's
 * elf/dl-lookup.c). Takes default versions of functions only. Set-up only: takes the loader's lock.
 * Unlike dlsym it never allocates.
 */
#ifndef VMT_ELF_LOOKUP_H
#define VMT_ELF_LOOKUP_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

/* The first definition; after_us: the first one in a file behind this library. NULL: none. */
void *vmt_elf_lookup_find(const char *name, bool after_us);

/* Whether a definition is this library's. */
bool vmt_elf_lookup_is_ours(const void *definition);

/* Whether a file of this library's own name (DT_SONAME) comes first: a copy from elsewhere, whose
 * hooks call ours as the next definitions. */
bool vmt_elf_lookup_is_second_copy(void);

/* This library's file as the loader found it: absolute, or from the directory that was the present
 * one at load. The loader's memory; NULL where it does not say. */
const char *vmt_elf_lookup_own_path(void);

/* The dynamic symbol table of one loaded file, as its PT_DYNAMIC names it. */
struct vmt_elf_lookup_symbols {
	uintptr_t base;
	ElfW(Sym) * symbols;
	const char *names;
	const uint16_t *versions;
	const uint32_t *gnu_hash;
	const uint32_t *hash;
};

bool vmt_elf_lookup_describe(struct vmt_elf_lookup_symbols *file, uintptr_t base,
			     const ElfW(Dyn) * dynamic);

/* The entry of a defined name of the file, any kind; NULL = none. */
ElfW(Sym) * vmt_elf_lookup_symbol(const struct vmt_elf_lookup_symbols *file, const char *name);

#endif
