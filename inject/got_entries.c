#include "inject/got_entries.h"

#include "base/assert.h"
#include "inject/heap_hooks.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define PROGRAM_HEADERS 64u
#define DYNAMIC_ENTRIES 1024u
#define BLOCK 512u		 /* relocations, read at once */
#define MAX_RELOCATIONS 4000000u /* of one table */
#define NAME_BYTES 32u		 /* longer names are no function of the family */
#define MAX_SYMBOL UINT32_C(0xffffff)

/* A loaded file, as far as it is needed. */
struct module {
	vmt_code_map_reader *read;
	void *context;
	uint64_t bias;
	uint64_t low; /* [low, high): its span */
	uint64_t high;
	uint64_t symbols;
	uint64_t strings;
	uint64_t strings_bytes;
	struct {
		uint64_t address;
		uint64_t bytes;
	} tables[2]; /* of relocations */
};

static bool
holds(const struct module *module, uint64_t address, uint64_t bytes)
{
	return address >= module->low && address < module->high && bytes <= module->high - address;
}

/* glibc's loader has made most of them addresses of the process, musl's none. */
static uint64_t
settle_address(const struct module *module, uint64_t value)
{
	return holds(module, value, 1) ? value : value + module->bias;
}

static void
take_dynamic(struct module *module, const Elf64_Dyn *entry, bool *has_rel)
{
	switch (entry->d_tag) {
	case DT_SYMTAB:
		module->symbols = settle_address(module, entry->d_un.d_ptr);
		break;
	case DT_STRTAB:
		module->strings = settle_address(module, entry->d_un.d_ptr);
		break;
	case DT_STRSZ:
		module->strings_bytes = entry->d_un.d_val;
		break;
	case DT_RELA:
		module->tables[0].address = settle_address(module, entry->d_un.d_ptr);
		break;
	case DT_RELASZ:
		module->tables[0].bytes = entry->d_un.d_val;
		break;
	case DT_JMPREL:
		module->tables[1].address = settle_address(module, entry->d_un.d_ptr);
		break;
	case DT_PLTRELSZ:
		module->tables[1].bytes = entry->d_un.d_val;
		break;
	case DT_PLTREL:
		*has_rel = entry->d_un.d_val != DT_RELA;
		break;
	default:
		break;
	}
}

static int
read_dynamic(struct module *module, const Elf64_Phdr *segment)
{
	uint64_t at = segment->p_vaddr + module->bias;
	uint64_t count = segment->p_memsz / sizeof(Elf64_Dyn);
	bool has_rel = false;

	for (uint64_t i = 0; i < count && i < DYNAMIC_ENTRIES; i++) {
		Elf64_Dyn entry;
		int error;

		if (!holds(module, at + i * sizeof(entry), sizeof(entry)))
			return -ENOEXEC;
		error =
		    module->read(module->context, at + i * sizeof(entry), &entry, sizeof(entry));
		if (error < 0)
			return error;
		if (entry.d_tag == DT_NULL)
			break;
		take_dynamic(module, &entry, &has_rel);
	}
	return has_rel || !holds(module, module->symbols, sizeof(Elf64_Sym)) ||
		       !holds(module, module->strings, module->strings_bytes)
		   ? -ENOEXEC
		   : 0;
}

static void
take_span(struct module *module, const Elf64_Phdr *segments, uint32_t count)
{
	module->low = UINT64_MAX;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t low = segments[i].p_vaddr + module->bias;
		uint64_t high = low + segments[i].p_memsz;

		if (segments[i].p_type != PT_LOAD || high < low)
			continue;
		module->low = low < module->low ? low : module->low;
		module->high = high > module->high ? high : module->high;
	}
}

static int
open_module(struct module *module, uint64_t address)
{
	Elf64_Phdr segments[PROGRAM_HEADERS];
	Elf64_Ehdr header;
	int error = module->read(module->context, address, &header, sizeof(header));
	bool is_found = false;

	if (error < 0)
		return error;
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
	    header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > PROGRAM_HEADERS)
		return -ENOEXEC;
	error = module->read(module->context, address + header.e_phoff, segments,
			     header.e_phnum * sizeof(segments[0]));
	if (error < 0)
		return error;
	for (uint32_t i = 0; !is_found && i < header.e_phnum; i++) {
		is_found = segments[i].p_type == PT_LOAD && segments[i].p_offset == 0;
		module->bias = address - segments[i].p_vaddr;
	}
	if (!is_found)
		return -ENOEXEC;
	take_span(module, segments, header.e_phnum);
	for (uint32_t i = 0; i < header.e_phnum; i++)
		if (segments[i].p_type == PT_DYNAMIC)
			return read_dynamic(module, &segments[i]);
	return -ENOEXEC;
}

/* The function of the family that a symbol names; negative: none. */
static int
entry_of(const struct module *module, uint64_t number, Elf64_Sym *symbol)
{
	uint64_t address = module->symbols + number * sizeof(*symbol);
	char name[NAME_BYTES] = "";
	uint64_t room;

	if (number > MAX_SYMBOL || !holds(module, address, sizeof(*symbol)) ||
	    module->read(module->context, address, symbol, sizeof(*symbol)) < 0 ||
	    symbol->st_name >= module->strings_bytes)
		return -1;
	room = module->strings_bytes - symbol->st_name;
	/* What is cut there is longer than every known name. */
	if (module->read(module->context, module->strings + symbol->st_name, name,
			 room < sizeof(name) ? room : sizeof(name) - 1) < 0)
		return -1;
	return vmt_heap_hooks_entry_of(name);
}

static struct vmt_got_slot *
slots_of(const struct vmt_got_entries *entries)
{
	return (void *)entries->buffer.bytes;
}

static int
add_slot(struct vmt_got_entries *entries, const struct vmt_got_slot *slot)
{
	if (entries->count == VMT_GOT_ENTRIES_MAX_SLOTS) {
		entries->is_full = true;
		return 0;
	}
	if (!vmt_buffer_reserve(&entries->buffer, (entries->count + 1) * sizeof(*slot)))
		return -ENOMEM;
	slots_of(entries)[entries->count++] = *slot;
	return 0;
}

static int
take_relocation(struct vmt_got_entries *entries, const struct module *module,
		const Elf64_Rela *relocation)
{
	struct vmt_got_slot slot = {.address = relocation->r_offset + module->bias};
	uint64_t type = ELF64_R_TYPE(relocation->r_info);
	Elf64_Sym symbol;
	int entry;

	if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) ||
	    !holds(module, slot.address, sizeof(uint64_t)) || slot.address % sizeof(uint64_t) != 0)
		return 0;
	entry = entry_of(module, ELF64_R_SYM(relocation->r_info), &symbol);
	if (entry < 0 || module->read(module->context, slot.address, &slot.old_value,
				      sizeof(slot.old_value)) < 0)
		return 0;
	slot.entry = (uint32_t)entry;
	slot.is_lazy = type == R_X86_64_JUMP_SLOT && symbol.st_shndx == SHN_UNDEF &&
		       holds(module, slot.old_value, 1);
	return slot.old_value == 0 ? 0 : add_slot(entries, &slot);
}

static int
read_table(struct vmt_got_entries *entries, const struct module *module, uint64_t address,
	   uint64_t bytes)
{
	uint64_t count = bytes / sizeof(Elf64_Rela);
	Elf64_Rela block[BLOCK];
	int error = 0;

	if (count == 0)
		return 0;
	if (!holds(module, address, bytes) || count > MAX_RELOCATIONS)
		return -ENOEXEC;
	for (uint64_t at = 0; error == 0 && at < count; at += BLOCK) {
		uint64_t taken = count - at < BLOCK ? count - at : BLOCK;

		error = module->read(module->context, address + at * sizeof(block[0]), block,
				     taken * sizeof(block[0]));
		for (uint64_t i = 0; error == 0 && i < taken; i++)
			error = take_relocation(entries, module, &block[i]);
	}
	return error;
}

int
vmt_got_entries_add(struct vmt_got_entries *entries, uint64_t header, vmt_code_map_reader *read,
		    void *context)
{
	struct module module = {.read = read, .context = context};
	size_t before = entries->count;
	int error = open_module(&module, header);

	for (int i = 0; error == 0 && i < 2; i++)
		error =
		    read_table(entries, &module, module.tables[i].address, module.tables[i].bytes);
	if (error < 0)
		entries->count = before;
	return error;
}

static struct vmt_got_way *
find_way(struct vmt_got_entries *entries, uint32_t entry, uint64_t function)
{
	for (uint32_t i = 0; i < entries->ways_count; i++)
		if (entries->ways[i].entry == entry &&
		    (function == 0 || entries->ways[i].function == function))
			return &entries->ways[i];
	return NULL;
}

/* The functions that words lead to; those of words that are not filled in are among them, or not
 * known. */
static void
add_way(struct vmt_got_entries *entries, const struct vmt_got_slot *slot)
{
	if (slot->is_lazy || find_way(entries, slot->entry, slot->old_value))
		return;
	if (entries->ways_count == VMT_GOT_ENTRIES_WAYS) {
		entries->is_full = true;
		return;
	}
	entries->ways[entries->ways_count++] =
	    (struct vmt_got_way){.function = slot->old_value, .entry = slot->entry};
}

uint64_t
vmt_got_entries_settle(struct vmt_got_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		add_way(entries, &slots_of(entries)[i]);
	return (uint64_t)entries->ways_count * VMT_GOT_ENTRIES_STUB_BYTES;
}

/* Where several functions have that name nobody tells which one the loader would choose. */
static const struct vmt_got_way *
way_of(struct vmt_got_entries *entries, const struct vmt_got_slot *slot)
{
	const struct vmt_got_way *way =
	    find_way(entries, slot->entry, slot->is_lazy ? 0 : slot->old_value);

	for (uint32_t i = 0; way && slot->is_lazy && i < entries->ways_count; i++)
		if (entries->ways[i].entry == slot->entry && &entries->ways[i] != way)
			return NULL;
	return way;
}

/* mov $function,%rcx; jmp *(%rip), with the handler's address behind it. */
static void
write_stub(const struct vmt_got_way *way, uint64_t handler, uint8_t *stub)
{
	static const uint8_t load[] = {0x48, 0xb9};
	static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};

	memcpy(stub, load, sizeof(load));
	memcpy(stub + 2, &way->function, sizeof(way->function));
	memcpy(stub + 10, jump, sizeof(jump));
	memcpy(stub + 16, &handler, sizeof(handler));
}

void
vmt_got_entries_write_stubs(struct vmt_got_entries *entries, uint64_t address,
			    const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT], uint8_t *stubs)
{
	struct vmt_got_slot *slots = slots_of(entries);

	vmt_assert(address % sizeof(uint64_t) == 0);
	for (uint32_t i = 0; i < entries->ways_count; i++) {
		struct vmt_got_way *way = &entries->ways[i];

		way->stub = address + (uint64_t)i * VMT_GOT_ENTRIES_STUB_BYTES;
		write_stub(way, handlers[way->entry], stubs + i * VMT_GOT_ENTRIES_STUB_BYTES);
	}
	entries->unled = 0;
	for (size_t i = 0; i < entries->count; i++) {
		const struct vmt_got_way *way = way_of(entries, &slots[i]);

		slots[i].new_value = way ? way->stub : 0;
		entries->unled += !way;
	}
}

/* 1: it was put there; 0: another value was there. */
static int
exchange(const struct vmt_target *target, uint64_t address, uint64_t from, uint64_t to)
{
	uint64_t found = 0;
	int error = vmt_target_read(target, address, &found, sizeof(found));

	if (error < 0)
		return error;
	if (found != from)
		return 0;
	error = vmt_target_write(target, address, &to, sizeof(to));
	return error < 0 ? error : 1;
}

int
vmt_got_entries_make(struct vmt_got_entries *entries, const struct vmt_target *target)
{
	struct vmt_got_slot *slots = slots_of(entries);

	for (size_t i = 0; i < entries->count; i++) {
		int made;

		if (slots[i].new_value == 0)
			continue;
		made = exchange(target, slots[i].address, slots[i].old_value, slots[i].new_value);
		if (made < 0) {
			(void)vmt_got_entries_undo(entries, target);
			return made;
		}
		if (made > 0)
			continue;
		slots[i].new_value = 0;
		entries->unled++;
	}
	return 0;
}

int
vmt_got_entries_undo(const struct vmt_got_entries *entries, const struct vmt_target *target)
{
	const struct vmt_got_slot *slots = slots_of(entries);
	int first = 0;

	for (size_t i = 0; i < entries->count; i++) {
		int result = slots[i].new_value == 0
				 ? 0
				 : exchange(target, slots[i].address, slots[i].new_value,
					    slots[i].old_value);

		/* A file that is gone takes its words along. */
		if (result < 0 && result != -EFAULT && result != -EIO && first == 0)
			first = result;
	}
	return first;
}

void
vmt_got_entries_close(struct vmt_got_entries *entries)
{
	vmt_buffer_free(&entries->buffer);
	entries->count = 0;
}
