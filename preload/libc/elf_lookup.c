#include "preload/libc/elf_lookup.h"

#include <string.h>
#include <sys/auxv.h>

#define HIDDEN_VERSION 0x8000u

/* The linker's own name for this library's dynamic section. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));
/* ... and for its first byte. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

/* glibc relocates these entries in place, other loaders do not. */
static uintptr_t
pointer_of(uintptr_t base, const ElfW(Dyn) * entry)
{
	return entry->d_un.d_ptr < base ? base + entry->d_un.d_ptr : entry->d_un.d_ptr;
}

bool
vmt_elf_lookup_describe(struct vmt_elf_lookup_symbols *file, uintptr_t base,
			const ElfW(Dyn) * dynamic)
{
	memset(file, 0, sizeof(*file));
	file->base = base;
	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		uintptr_t pointer = pointer_of(base, dynamic);

		switch (dynamic->d_tag) {
		case DT_SYMTAB:
			file->symbols = (ElfW(Sym) *)pointer;
			break;
		case DT_STRTAB:
			file->names = (const char *)pointer;
			break;
		case DT_VERSYM:
			file->versions = (const uint16_t *)pointer;
			break;
		case DT_GNU_HASH:
			file->gnu_hash = (const uint32_t *)pointer;
			break;
		case DT_HASH:
			file->hash = (const uint32_t *)pointer;
			break;
		default:
			break;
		}
	}
	return file->symbols && file->names && (file->gnu_hash || file->hash);
}

static ElfW(Sym) *
    matches(const struct vmt_elf_lookup_symbols *file, uint32_t index, const char *name)
{
	ElfW(Sym) *symbol = &file->symbols[index];

	if (symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0)
		return NULL;
	if (file->versions && (file->versions[index] & HIDDEN_VERSION))
		return NULL;
	return strcmp(file->names + symbol->st_name, name) == 0 ? symbol : NULL;
}

static ElfW(Sym) * find_by_gnu_hash(const struct vmt_elf_lookup_symbols *file, const char *name)
{
	const uint32_t *table = file->gnu_hash;
	uint32_t buckets = table[0];
	uint32_t first = table[1];
	const uint32_t *bucket = table + 4 + table[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
	const uint32_t *chain = bucket + buckets;
	uint32_t hash = 5381;
	uint32_t index;

	for (const char *at = name; *at; at++)
		hash = hash * 33 + (unsigned char)*at;
	index = buckets ? bucket[hash % buckets] : 0;
	if (index < first)
		return NULL;
	for (;; index++) {
		ElfW(Sym) *symbol =
		    (chain[index - first] | 1) == (hash | 1) ? matches(file, index, name) : NULL;

		if (symbol || (chain[index - first] & 1))
			return symbol;
	}
}

static ElfW(Sym) * find_by_hash(const struct vmt_elf_lookup_symbols *file, const char *name)
{
	uint32_t count = file->hash[1]; /* chain entries = symbols */

	for (uint32_t index = 1; index < count; index++) {
		ElfW(Sym) *symbol = matches(file, index, name);

		if (symbol)
			return symbol;
	}
	return NULL;
}

ElfW(Sym) * vmt_elf_lookup_symbol(const struct vmt_elf_lookup_symbols *file, const char *name)
{
	return file->gnu_hash ? find_by_gnu_hash(file, name) : find_by_hash(file, name);
}

/* An indirect function is chosen by this one, as the loader would call it. */
typedef void *(*choose_function)(unsigned long hwcap);

struct search {
	const char *name;
	bool started; /* the files looked at from here on count */
	void *found;
};

static const ElfW(Dyn) * dynamic_of(const struct dl_phdr_info *info)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			return (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	}
	return NULL;
}

static int
visit(struct dl_phdr_info *info, size_t size, void *context)
{
	struct search *search = context;
	const ElfW(Dyn) *dynamic = dynamic_of(info);
	struct vmt_elf_lookup_symbols file;
	ElfW(Sym) * symbol;
	unsigned type;

	(void)size;
	if (!search->started) {
		search->started = dynamic == _DYNAMIC;
		return 0;
	}
	if (!dynamic || !vmt_elf_lookup_describe(&file, info->dlpi_addr, dynamic))
		return 0;
	symbol = vmt_elf_lookup_symbol(&file, search->name);
	type = symbol ? ELF64_ST_TYPE(symbol->st_info) : STT_NOTYPE;
	if (type != STT_FUNC && type != STT_GNU_IFUNC)
		return 0;
	search->found = (void *)(file.base + symbol->st_value);
	if (type == STT_GNU_IFUNC)
		search->found = ((choose_function)search->found)(getauxval(AT_HWCAP));
	return 1;
}

void *
vmt_elf_lookup_find(const char *name, bool after_us)
{
	struct search search = {.name = name, .started = !after_us};

	dl_iterate_phdr(visit, &search);
	return search.found;
}

bool
vmt_elf_lookup_is_ours(const void *definition)
{
	uintptr_t address = (uintptr_t)definition;

	return address >= (uintptr_t)__ehdr_start && address < (uintptr_t)_end;
}

static const char *
name_of(uintptr_t base, const ElfW(Dyn) * dynamic)
{
	const char *names = NULL;
	uint64_t offset = 0;

	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		if (dynamic->d_tag == DT_STRTAB)
			names = (const char *)pointer_of(base, dynamic);
		else if (dynamic->d_tag == DT_SONAME)
			offset = dynamic->d_un.d_val;
	}
	return names && offset != 0 ? names + offset : "";
}

struct own {
	const char *path;
};

static int
visit_us(struct dl_phdr_info *info, size_t size, void *context)
{
	struct own *own = context;

	(void)size;
	if (dynamic_of(info) != _DYNAMIC)
		return 0;
	own->path = info->dlpi_name;
	return 1;
}

const char *
vmt_elf_lookup_own_path(void)
{
	struct own own = {NULL};

	dl_iterate_phdr(visit_us, &own);
	return own.path;
}

struct copies {
	const char *name;
	bool found;
};

/* Non-zero ends the iteration: a copy, or this library itself. */
static int
visit_before_us(struct dl_phdr_info *info, size_t size, void *context)
{
	struct copies *copies = context;
	const ElfW(Dyn) *dynamic = dynamic_of(info);

	(void)size;
	if (dynamic == _DYNAMIC)
		return 1;
	copies->found = dynamic && strcmp(name_of(info->dlpi_addr, dynamic), copies->name) == 0;
	return copies->found;
}

bool
vmt_elf_lookup_is_second_copy(void)
{
	struct copies copies = {.name = name_of((uintptr_t)__ehdr_start, _DYNAMIC)};

	if (copies.name[0] != '\0')
		dl_iterate_phdr(visit_before_us, &copies);
	return copies.found;
}
