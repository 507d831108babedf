#include "tools/read/elf/elf_symbols.h"

#include <assert.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define RANK_FUNCTION 4u

struct symbol {
	uint64_t start;
	uint64_t end; /* = start where the size is not known */
	const char *name;
	uint8_t rank; /* of several at one address the highest names it */
};

struct vmt_elf_symbols {
	int fd;
	Elf *elf;
	struct symbol *symbols;
	size_t count;
	bool loaded;
	bool has_symtab;
};

static Elf *
begin(int fd, const char **why)
{
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF)
		return elf;
	*why = "not an ELF file";
	elf_end(elf);
	return NULL;
}

struct vmt_elf_symbols *
vmt_elf_symbols_open(const char *path, const char **why)
{
	/* O_NONBLOCK: a FIFO must not hold us up before fstat has told. */
	return vmt_elf_symbols_open_fd(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
				       why);
}

struct vmt_elf_symbols *
vmt_elf_symbols_open_fd(int fd, const char **why)
{
	struct vmt_elf_symbols *file;
	struct stat status;

	if (fd < 0) {
		*why = "file is gone or not readable";
		return NULL;
	}
	file = calloc(1, sizeof(*file));
	if (file)
		file->fd = fd;
	if (!file)
		*why = "out of memory";
	else if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		*why = "not a regular file";
	else
		file->elf = begin(fd, why);
	if (file && file->elf)
		return file;
	free(file);
	close(fd);
	return NULL;
}

void
vmt_elf_symbols_close(struct vmt_elf_symbols *file)
{
	if (!file)
		return;
	free(file->symbols);
	elf_end(file->elf);
	close(file->fd);
	free(file);
}

int
vmt_elf_symbols_fd(const struct vmt_elf_symbols *file)
{
	return file->fd;
}

void *
vmt_elf_symbols_handle(struct vmt_elf_symbols *file)
{
	return file->elf;
}

const unsigned char *
vmt_elf_symbols_bytes(struct vmt_elf_symbols *file, size_t *length)
{
	*length = 0;
	return (const unsigned char *)elf_rawfile(file->elf, length);
}

/* The build-id among the notes of one section; 0 bytes = none. */
static size_t
find_build_id(Elf_Data *data, const unsigned char **id)
{
	const char *bytes = data->d_buf;
	GElf_Nhdr note;
	size_t name;
	size_t content;
	size_t at = 0;

	while (bytes && (at = gelf_getnote(data, at, &note, &name, &content)) > 0) {
		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != sizeof(ELF_NOTE_GNU) ||
		    memcmp(bytes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) != 0)
			continue;
		*id = (const unsigned char *)bytes + content;
		return note.n_descsz;
	}
	return 0;
}

size_t
vmt_elf_symbols_build_id(struct vmt_elf_symbols *file, const unsigned char **id)
{
	Elf_Scn *section = NULL;
	size_t length = 0;

	while (length == 0 && (section = elf_nextscn(file->elf, section))) {
		GElf_Shdr header;
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_NOTE)
			continue;
		data = elf_getdata(section, NULL);
		length = data ? find_build_id(data, id) : 0;
	}
	return length;
}

/* The first section of that name that has bytes in the file. */
static Elf_Scn *
find_named(Elf *elf, const char *wanted)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header) || header.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		if (name && strcmp(name, wanted) == 0)
			return section;
	}
	return NULL;
}

bool
vmt_elf_symbols_has_dwarf(struct vmt_elf_symbols *file)
{
	return find_named(file->elf, ".debug_info") || find_named(file->elf, ".zdebug_info");
}

/* The section holds the name, zeros up to a multiple of 4, and the CRC. */
const char *
vmt_elf_symbols_debuglink(struct vmt_elf_symbols *file, uint32_t *checksum)
{
	Elf_Data *data = elf_rawdata(find_named(file->elf, ".gnu_debuglink"), NULL);
	const char *bytes = data ? data->d_buf : NULL;
	size_t length;

	if (!bytes)
		return NULL;
	length = strnlen(bytes, data->d_size);
	length = (length + 4) / 4 * 4;
	if (length == 4 || length + sizeof(*checksum) > data->d_size)
		return NULL;
	memcpy(checksum, bytes + length, sizeof(*checksum));
	return bytes;
}

/* The section holds the name with its NUL, and the build-id. */
const char *
vmt_elf_symbols_altlink(struct vmt_elf_symbols *file, const unsigned char **id, size_t *id_bytes)
{
	Elf_Data *data = elf_rawdata(find_named(file->elf, ".gnu_debugaltlink"), NULL);
	const char *bytes = data ? data->d_buf : NULL;
	size_t length = bytes ? strnlen(bytes, data->d_size) : 0;

	if (length == 0 || length + 1 >= data->d_size)
		return NULL;
	*id = (const unsigned char *)bytes + length + 1;
	*id_bytes = data->d_size - length - 1;
	return bytes;
}

bool
vmt_elf_symbols_checksum(struct vmt_elf_symbols *file, uint32_t *checksum)
{
	unsigned char buffer[65536];
	uLong crc = crc32(0, NULL, 0);
	off_t at = 0;
	ssize_t got;

	while ((got = pread(file->fd, buffer, sizeof(buffer), at)) > 0) {
		crc = crc32(crc, buffer, (uInt)got);
		at += got;
	}
	*checksum = (uint32_t)crc;
	return got == 0;
}

static Elf_Scn *
find_section(Elf *elf, uint32_t type, GElf_Shdr *header)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, header) && header->sh_type == type &&
		    header->sh_entsize > 0)
			return section;
	return NULL;
}

static bool
is_code(Elf *elf, const GElf_Sym *symbol)
{
	int type = GELF_ST_TYPE(symbol->st_info);
	GElf_Shdr header;

	if (symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0)
		return false;
	if (type == STT_FUNC || type == STT_GNU_IFUNC)
		return true;
	/* Assembly without .type */
	return type == STT_NOTYPE && symbol->st_shndx < SHN_LORESERVE &&
	       gelf_getshdr(elf_getscn(elf, symbol->st_shndx), &header) &&
	       (header.sh_flags & SHF_EXECINSTR);
}

static void
add_symbol(struct vmt_elf_symbols *file, const GElf_Sym *symbol, const char *name)
{
	struct symbol *added = &file->symbols[file->count++];
	uint64_t end;

	added->start = symbol->st_value;
	if (__builtin_add_overflow(symbol->st_value, symbol->st_size, &end))
		end = symbol->st_value;
	added->end = end;
	added->name = name;
	added->rank = (uint8_t)((GELF_ST_TYPE(symbol->st_info) != STT_NOTYPE ? RANK_FUNCTION : 0) +
				(GELF_ST_BIND(symbol->st_info) == STB_GLOBAL ? 2 : 0) +
				(name[0] != '_' ? 1 : 0));
}

static int
compare_symbols(const void *left, const void *right)
{
	const struct symbol *a = left;
	const struct symbol *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank > b->rank ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* One symbol an address, each reaching to its end, or to the next where that is not known. */
static void
settle_symbols(struct vmt_elf_symbols *file)
{
	uint64_t functions_end = 0;
	size_t kept = 0;

	qsort(file->symbols, file->count, sizeof(*file->symbols), compare_symbols);
	for (size_t i = 0; i < file->count; i++) {
		if (kept && file->symbols[kept - 1].start == file->symbols[i].start) {
			if (file->symbols[i].end > file->symbols[kept - 1].end)
				file->symbols[kept - 1].end = file->symbols[i].end;
			continue;
		}
		/* A label inside a function is not one. */
		if (file->symbols[i].rank < RANK_FUNCTION && file->symbols[i].start < functions_end)
			continue;
		if (file->symbols[i].rank >= RANK_FUNCTION && file->symbols[i].end > functions_end)
			functions_end = file->symbols[i].end;
		file->symbols[kept++] = file->symbols[i];
	}
	file->count = kept;
	for (size_t i = 0; i + 1 < kept; i++)
		if (file->symbols[i].end == file->symbols[i].start)
			file->symbols[i].end = file->symbols[i + 1].start;
}

static void
load_symbols(struct vmt_elf_symbols *file)
{
	GElf_Shdr header;
	Elf_Scn *section = find_section(file->elf, SHT_SYMTAB, &header);
	Elf_Data *data;
	size_t count;

	file->loaded = true;
	file->has_symtab = section != NULL;
	if (!section)
		section = find_section(file->elf, SHT_DYNSYM, &header);
	data = section ? elf_getdata(section, NULL) : NULL;
	if (!data)
		return;
	count = data->d_size / header.sh_entsize;
	file->symbols =
	    count <= INT32_MAX ? calloc(count ? count : 1, sizeof(*file->symbols)) : NULL;
	if (!file->symbols)
		return;
	for (size_t i = 0; i < count; i++) {
		GElf_Sym symbol;
		const char *name;

		if (!gelf_getsym(data, (int)i, &symbol) || !is_code(file->elf, &symbol))
			continue;
		name = elf_strptr(file->elf, header.sh_link, symbol.st_name);
		if (name && *name)
			add_symbol(file, &symbol, name);
	}
	settle_symbols(file);
}

bool
vmt_elf_symbols_has_symtab(struct vmt_elf_symbols *file)
{
	if (!file->loaded)
		load_symbols(file);
	return file->has_symtab;
}

const char *
vmt_elf_symbols_find(struct vmt_elf_symbols *file, uint64_t address)
{
	size_t low = 0;
	size_t high;

	if (!file->loaded)
		load_symbols(file);
	if (!file->symbols)
		return NULL;
	/* The last symbol that begins at or before the address. */
	for (high = file->count; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (file->symbols[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	assert(low <= file->count);
	if (low == 0 || address >= file->symbols[low - 1].end)
		return NULL;
	return file->symbols[low - 1].name;
}
