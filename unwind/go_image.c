#include "unwind/go_image.h"

#include "base/text.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#define BUILD_INFO_MAGIC "\xff Go buildinf:"
#define BUILD_INFO_HEADER 32u
#define BUILD_INFO_INLINE 2u /* flags: the version follows the header */

/* Names lie in the table itself: each is asked for every function of the runtime. */
static const struct wanted_function {
	char name[48];
	enum vmt_go_function function;
} wanted_functions[] = {
    {"runtime.madvise", VMT_GO_MADVISE},
    {"runtime.sysMmap", VMT_GO_MMAP},
    {"runtime.sysMunmap", VMT_GO_MUNMAP},
    {"runtime.exit", VMT_GO_EXIT},
    {"runtime/internal/syscall.Syscall6", VMT_GO_SYSCALL},
    {"internal/runtime/syscall.Syscall6", VMT_GO_SYSCALL},
    {"internal/runtime/syscall/linux.Syscall6", VMT_GO_SYSCALL},
    {"runtime.systemstack", VMT_GO_SYSTEMSTACK},
    {"runtime.morestack", VMT_GO_MORESTACK},
    {"crosscall2", VMT_GO_CALLBACK},
    {"runtime.racefuncenter", VMT_GO_RACE_ENTER},
    {"runtime.mallocinit", VMT_GO_MALLOC_INIT},
    {"runtime.(*mheap).init", VMT_GO_HEAP_INIT},
    {"runtime.(*mheap).grow", VMT_GO_HEAP_GROW},
    {"runtime.(*consistentHeapStats).acquire", VMT_GO_STATISTICS_ACQUIRE},
    {"runtime.gcinit", VMT_GO_GC_INIT},
    {"runtime.(*gcControllerState).init", VMT_GO_CONTROLLER_INIT},
    {"runtime.allgadd", VMT_GO_GOROUTINE_ADD},
    {"runtime.procresize", VMT_GO_PROCESSORS_RESIZE},
    {"runtime.mProf_FlushLocked", VMT_GO_PROFILE_FLUSH},
    {"runtime.mProf_Free", VMT_GO_PROFILE_FREE},
    {"runtime.allocmcache", VMT_GO_CACHE_NEW},
    {"runtime.schedinit", VMT_GO_SCHEDULER_INIT},
    {"runtime.init", VMT_GO_RUNTIME_INIT},
};

static const char *const wanted_objects[] = {
    VMT_GO_STATISTICS_SYMBOL,	 VMT_GO_CONTROLLER_SYMBOL,  VMT_GO_HEAP_SYMBOL,
    VMT_GO_GOROUTINES_SYMBOL,	 VMT_GO_PROCESSORS_SYMBOL,  VMT_GO_PROFILE_SYMBOL,
    VMT_GO_PROFILE_CYCLE_SYMBOL, VMT_GO_PROFILE_RATE_SYMBOL};

#define DISABLED_SYMBOL "runtime.disableMemoryProfiling"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const void *
vmt_go_image_at(const struct vmt_go_file *file, uint64_t offset, uint64_t bytes)
{
	if (offset > file->length || bytes > file->length - offset)
		return NULL;
	return file->bytes + offset;
}

static const Elf64_Ehdr *
header_of(const struct vmt_go_file *file)
{
	const Elf64_Ehdr *header = vmt_go_image_at(file, 0, sizeof(*header));

	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff % 8 != 0)
		return NULL;
	return header;
}

bool
vmt_go_image_is_set(const struct vmt_go_file *file, uint64_t address)
{
	const Elf64_Ehdr *header = header_of(file);
	const Elf64_Phdr *segments =
	    header ? vmt_go_image_at(file, header->e_phoff, header->e_phnum * sizeof(*segments))
		   : NULL;
	const unsigned char *byte = vmt_go_image_loaded(file, address, 1);

	for (unsigned i = 0; segments && byte && i < header->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD &&
		    address - segments[i].p_vaddr < segments[i].p_filesz)
			return (segments[i].p_flags & PF_W) && *byte == 1;
	return false;
}

const void *
vmt_go_image_loaded(const struct vmt_go_file *file, uint64_t address, uint64_t bytes)
{
	const Elf64_Ehdr *header = header_of(file);
	const Elf64_Phdr *segments =
	    header ? vmt_go_image_at(file, header->e_phoff, header->e_phnum * sizeof(*segments))
		   : NULL;

	for (unsigned i = 0; segments && i < header->e_phnum; i++) {
		uint64_t into = address - segments[i].p_vaddr;

		if (segments[i].p_type == PT_LOAD && into < segments[i].p_filesz &&
		    bytes <= segments[i].p_filesz - into &&
		    segments[i].p_offset <= UINT64_MAX - into)
			return vmt_go_image_at(file, segments[i].p_offset + into, bytes);
	}
	return NULL;
}

struct sections {
	const Elf64_Shdr *all;
	uint32_t count;
	const char *names; /* NUL-terminated as a whole */
	uint64_t names_bytes;
};

static bool
find_sections(const struct vmt_go_file *file, struct sections *sections)
{
	const Elf64_Ehdr *header = header_of(file);
	const Elf64_Shdr *names;

	if (!header || header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 != 0 ||
	    header->e_shstrndx >= header->e_shnum)
		return false;
	sections->count = header->e_shnum;
	sections->all =
	    vmt_go_image_at(file, header->e_shoff, sections->count * sizeof(Elf64_Shdr));
	if (!sections->all)
		return false;
	names = &sections->all[header->e_shstrndx];
	sections->names = vmt_go_image_at(file, names->sh_offset, names->sh_size);
	sections->names_bytes = names->sh_size;
	return sections->names && names->sh_size != 0 && sections->names[names->sh_size - 1] == 0;
}

static const Elf64_Shdr *
section_of_kind(const struct sections *sections, uint32_t kind)
{
	for (uint32_t i = 0; i < sections->count; i++) {
		if (sections->all[i].sh_type == kind)
			return &sections->all[i];
	}
	return NULL;
}

static const Elf64_Shdr *
section_named(const struct sections *sections, const char *name)
{
	size_t bytes = vmt_text_string_bytes(name) + 1;

	for (uint32_t i = 0; i < sections->count; i++) {
		uint64_t at = sections->all[i].sh_name;

		if (at < sections->names_bytes && bytes <= sections->names_bytes - at &&
		    memcmp(sections->names + at, name, bytes) == 0)
			return &sections->all[i];
	}
	return NULL;
}

/* In a position-independent file an address is often left to a relocation alone. */
static uint64_t
relocated_word(const struct vmt_go_file *file, uint64_t address)
{
	struct sections sections;

	if (!find_sections(file, &sections))
		return 0;
	for (uint32_t i = 0; i < sections.count; i++) {
		const Elf64_Shdr *section = &sections.all[i];
		uint64_t count = section->sh_size / sizeof(Elf64_Rela);
		const Elf64_Rela *entries;

		if (section->sh_type != SHT_RELA || section->sh_offset % 8 != 0)
			continue;
		entries = vmt_go_image_at(file, section->sh_offset, section->sh_size);
		for (uint64_t at = 0; entries && at < count; at++) {
			if (entries[at].r_offset == address && ELF64_R_SYM(entries[at].r_info) == 0)
				return (uint64_t)entries[at].r_addend;
		}
	}
	return 0;
}

uint64_t
vmt_go_image_word(const struct vmt_go_file *file, uint64_t address)
{
	const void *bytes = vmt_go_image_loaded(file, address, sizeof(uint64_t));
	uint64_t word = 0;

	if (bytes)
		memcpy(&word, bytes, sizeof(word));
	return word != 0 ? word : relocated_word(file, address);
}

/* Behind "runtime.": there nearly all names differ. Those that are wanted are longer. */
#define TELLING 8u

/* Whether a name is the wanted one, alone or with ".abi0": how the linker tells an assembly
 * function from its wrapper. */
static bool
is_name(const struct vmt_go_name *name, const char *wanted)
{
	static const char variant[] = ".abi0";
	const char *at = name->text;
	const char *end = at + name->room;

	if (name->room <= TELLING || at[TELLING] != wanted[TELLING])
		return false;
	for (; *wanted; wanted++, at++)
		if (at == end || *at != *wanted)
			return false;
	if (at == end || *at == '\0')
		return true;
	return (size_t)(end - at) >= sizeof(variant) - 1 &&
	       memcmp(at, variant, sizeof(variant) - 1) == 0 &&
	       ((size_t)(end - at) == sizeof(variant) - 1 || at[sizeof(variant) - 1] == '\0');
}

void
vmt_go_image_take(struct vmt_go_image *image, const struct vmt_go_file *file,
		  const struct vmt_go_name *name, uint64_t address, uint64_t bytes)
{
	/* runtime..., internal/..., crosscall2: nearly all others fall out at once. */
	if ((*name->text != 'r' && *name->text != 'i' && *name->text != 'c') ||
	    name->room <= TELLING)
		return;
	for (uint32_t i = 0; i < COUNT(wanted_functions); i++) {
		struct vmt_go_code *code = image->code[wanted_functions[i].function];
		uint32_t index = 0;

		if (name->text[TELLING] != wanted_functions[i].name[TELLING] ||
		    !is_name(name, wanted_functions[i].name))
			continue;
		while (index < VMT_GO_CANDIDATES && code[index].address != 0)
			index++;
		if (index < VMT_GO_CANDIDATES && vmt_go_image_loaded(file, address, bytes))
			code[index] =
			    (struct vmt_go_code){wanted_functions[i].name, address, bytes};
		return;
	}
}

static void
take_object(struct vmt_go_image *image, const struct vmt_go_name *name, const Elf64_Sym *symbol)
{
	for (uint32_t i = 0; i < COUNT(wanted_objects); i++) {
		struct vmt_go_object *object = &image->objects[image->objects_count];

		if (image->objects_count == VMT_GO_OBJECTS || !is_name(name, wanted_objects[i]))
			continue;
		object->address = symbol->st_value;
		object->bytes = symbol->st_size;
		memcpy(object->symbol, wanted_objects[i],
		       vmt_text_string_bytes(wanted_objects[i]) + 1);
		image->objects_count++;
		return;
	}
}

static void
take_symbol(struct vmt_go_image *image, const struct vmt_go_file *file, const Elf64_Sym *symbol,
	    const struct vmt_go_name *name)
{
	const unsigned char *byte;

	if (*name->text != 'r' && *name->text != 'c' && *name->text != 'i')
		return;
	if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC) {
		vmt_go_image_take(image, file, name, symbol->st_value, symbol->st_size);
		if (is_name(name, "runtime.text"))
			image->text_low = symbol->st_value;
		else if (is_name(name, "runtime.etext"))
			image->text_high = symbol->st_value;
	} else if (ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT) {
		take_object(image, name, symbol);
		if (is_name(name, DISABLED_SYMBOL) && vmt_go_image_is_set(file, symbol->st_value))
			image->profile_disabled = symbol->st_value;
		if (is_name(name, "runtime.iscgo")) {
			byte = vmt_go_image_loaded(file, symbol->st_value, 1);
			image->cgo = byte && *byte != 0;
		}
	}
}

struct symbols {
	const Elf64_Sym *all;
	uint64_t count;
	const char *names;
	uint64_t names_bytes;
};

/* False: there is no such table that can be read. */
static bool
find_symbols(struct symbols *symbols, const struct vmt_go_file *file,
	     const struct sections *sections, uint32_t kind)
{
	const Elf64_Shdr *table = section_of_kind(sections, kind);
	const Elf64_Shdr *strings;

	if (!table || table->sh_link >= sections->count || table->sh_offset % 8 != 0)
		return false;
	strings = &sections->all[table->sh_link];
	symbols->all = vmt_go_image_at(file, table->sh_offset, table->sh_size);
	symbols->count = table->sh_size / sizeof(*symbols->all);
	symbols->names = vmt_go_image_at(file, strings->sh_offset, strings->sh_size);
	symbols->names_bytes = strings->sh_size;
	return symbols->all && symbols->names;
}

bool
vmt_go_image_is_plugin(const struct vmt_go_file *file)
{
	static const char mark[] = "link.pkghash.";
	const uint64_t go = sizeof("go:") - 1;
	const uint64_t bytes = sizeof(mark) - 1;
	struct sections sections;
	struct symbols symbols;

	if (!find_sections(file, &sections) || !find_symbols(&symbols, file, &sections, SHT_DYNSYM))
		return false;
	for (uint64_t i = 0; i < symbols.count; i++) {
		uint64_t at = symbols.all[i].st_name;

		if (at < symbols.names_bytes && symbols.names_bytes - at >= go + bytes &&
		    memcmp(symbols.names + at, "go", 2) == 0 &&
		    memcmp(symbols.names + at + go, mark, bytes) == 0)
			return true;
	}
	return false;
}

static void
read_symbols(struct vmt_go_image *image, const struct vmt_go_file *file,
	     const struct sections *sections)
{
	struct symbols symbols;

	if (!find_symbols(&symbols, file, sections, SHT_SYMTAB))
		return;
	for (uint64_t i = 0; i < symbols.count; i++) {
		uint32_t at = symbols.all[i].st_name;
		struct vmt_go_name name = {symbols.names + at, symbols.names_bytes - at};

		if (at < symbols.names_bytes)
			take_symbol(image, file, &symbols.all[i], &name);
	}
}

bool
vmt_go_image_is_mark(const void *bytes, uint64_t length)
{
	return length >= sizeof(BUILD_INFO_MAGIC) - 1 &&
	       memcmp(bytes, BUILD_INFO_MAGIC, sizeof(BUILD_INFO_MAGIC) - 1) == 0;
}

bool
vmt_go_image_is_go(const struct vmt_go_file *file)
{
	struct sections sections;

	return find_sections(file, &sections) && section_named(&sections, ".go.buildinfo");
}

/* debug/buildinfo of Go 1.18 and later; the length is a one-byte varint for any real version. */
static void
read_version(struct vmt_go_image *image, const struct vmt_go_file *file,
	     const struct sections *sections)
{
	const Elf64_Shdr *section = section_named(sections, ".go.buildinfo");
	const unsigned char *bytes =
	    section ? vmt_go_image_at(file, section->sh_offset, section->sh_size) : NULL;
	uint64_t length;

	memcpy(image->version, "unknown", sizeof("unknown"));
	if (!bytes || section->sh_size <= BUILD_INFO_HEADER ||
	    memcmp(bytes, BUILD_INFO_MAGIC, sizeof(BUILD_INFO_MAGIC) - 1) != 0 ||
	    !(bytes[15] & BUILD_INFO_INLINE))
		return;
	length = bytes[BUILD_INFO_HEADER];
	if (length >= sizeof(image->version) || length > section->sh_size - BUILD_INFO_HEADER - 1)
		return;
	memcpy(image->version, bytes + BUILD_INFO_HEADER + 1, length);
	image->version[length] = '\0';
}

const char *
vmt_go_image_read_symbols(struct vmt_go_image *image, const struct vmt_go_file *file)
{
	struct sections sections;

	memset(image, 0, sizeof(*image));
	if (!find_sections(file, &sections))
		return "the file has no section headers";
	read_version(image, file, &sections);
	read_symbols(image, file, &sections);
	image->stripped = image->text_low == 0 || image->code[VMT_GO_SYSTEMSTACK][0].address == 0;
	return NULL;
}
