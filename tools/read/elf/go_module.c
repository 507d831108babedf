#include "tools/read/elf/go_module.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WORD 8u

/* Words of runtime.moduledata (runtime/symtab.go), the same since Go 1.18 up to `text`. */
enum module_word {
	MODULE_TABLE = 0,
	MODULE_NAMES = 1,
	MODULE_INDEX = 16, /* slice: pointer, length */
	MODULE_TEXT = 22,
	MODULE_INLINES_1_18 = 38,
	MODULE_INLINES_1_20 = 40, /* Go 1.20 put two words before it */
	MODULE_INLINES_1_27 = 43, /* ... and 1.27 three more, behind the address of the types */
	MODULE_TYPES = 37,	  /* since Go 1.20 */
	MODULE_TYPES_NEXT = 38,
};

/* A place in the file that may be a table. */
struct candidate {
	const unsigned char *bytes;
	size_t length;
	uint64_t address;
};

static uint64_t
word_of(const struct vmt_elf_image *image, uint64_t address, unsigned word)
{
	uint64_t value = 0;

	if (!vmt_elf_image_word(image, address + (uint64_t)word * WORD, &value))
		return 0;
	return value;
}

/* The module whose table is the one found points to it and to its parts. */
static bool
is_module_data(const struct vmt_go_module *module, uint64_t address)
{
	const struct vmt_gopclntab *table = &module->table;
	uint64_t names = (uint64_t)(table->names.bytes - table->whole.bytes);
	uint64_t index = (uint64_t)(table->index.bytes - table->whole.bytes);
	const struct vmt_elf_image *image = &module->image;

	return word_of(image, address, MODULE_TABLE) == module->table_address &&
	       word_of(image, address, MODULE_NAMES) == module->table_address + names &&
	       word_of(image, address, MODULE_INDEX) == module->table_address + index &&
	       word_of(image, address, MODULE_INDEX + 1) == table->functions + 1;
}

/* 0 = not found. A position-independent program has the pointer among its relocations. */
static uint64_t
find_module_data(const struct vmt_go_module *module)
{
	const struct vmt_elf_image *image = &module->image;

	for (size_t i = 0; i < image->relocation_count; i++)
		if (image->relocations[i].value == module->table_address &&
		    is_module_data(module, image->relocations[i].address))
			return image->relocations[i].address;
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct vmt_elf_segment *segment = &image->segments[i];

		for (uint64_t at = -segment->address % WORD;
		     !segment->executable && at + WORD <= segment->bytes; at += WORD)
			if (memcmp(segment->data + at, &module->table_address, WORD) == 0 &&
			    is_module_data(module, segment->address + at))
				return segment->address + at;
	}
	return 0;
}

/* The address of the types is followed by that of their end, or since Go 1.27 by a length: that is
 * less than the address, before which all code lies. */
static unsigned
word_of_inlines(const struct vmt_go_module *module, uint64_t address)
{
	const struct vmt_elf_image *image = &module->image;

	if (module->table.version == VMT_GOPCLNTAB_1_18)
		return MODULE_INLINES_1_18;
	return word_of(image, address, MODULE_TYPES_NEXT) < word_of(image, address, MODULE_TYPES)
		   ? MODULE_INLINES_1_27
		   : MODULE_INLINES_1_20;
}

static void
read_module_data(struct vmt_go_module *module)
{
	struct vmt_gopclntab *table = &module->table;
	uint64_t address = table->version >= VMT_GOPCLNTAB_1_18 ? find_module_data(module) : 0;
	uint64_t inlines;
	size_t available;
	const unsigned char *bytes;

	if (!address)
		return;
	table->text = word_of(&module->image, address, MODULE_TEXT);
	inlines = word_of(&module->image, address, word_of_inlines(module, address));
	bytes = vmt_elf_image_at(&module->image, inlines, &available);
	if (bytes)
		table->inlines = (struct vmt_gopclntab_part){bytes, available};
	module->has_inlined = bytes != NULL;
}

/* The table as the loader leaves it: older ones hold addresses. False: out of memory. */
static bool
relocate(struct vmt_go_module *module, struct candidate *found)
{
	const struct vmt_elf_image *image = &module->image;

	free(module->relocated);
	module->relocated = NULL;
	for (size_t i = 0; i < image->relocation_count; i++) {
		uint64_t offset = image->relocations[i].address - found->address;

		if (image->relocations[i].address < found->address || found->length < WORD ||
		    offset > found->length - WORD)
			continue;
		if (!module->relocated) {
			module->relocated = malloc(found->length);
			if (!module->relocated)
				return false;
			memcpy(module->relocated, found->bytes, found->length);
			found->bytes = module->relocated;
		}
		memcpy(module->relocated + offset, &image->relocations[i].value, WORD);
	}
	return true;
}

/* Whether the first function's code is in the file, and has a name. */
static bool
makes_sense(const struct vmt_go_module *module)
{
	struct vmt_gopclntab_function function;
	uint64_t first = 0;
	size_t available;

	memcpy(&first, module->table.index.bytes,
	       module->table.version >= VMT_GOPCLNTAB_1_18 ? 4 : module->table.pointer_bytes);
	if (module->table.version >= VMT_GOPCLNTAB_1_18)
		first += module->table.text;
	return vmt_gopclntab_covering(&module->table, first, &function) &&
	       vmt_elf_image_at(&module->image, first, &available) != NULL;
}

static bool
try_table(struct vmt_go_module *module, struct candidate found)
{
	if (vmt_gopclntab_version(found.bytes, found.length) == VMT_GOPCLNTAB_NONE ||
	    found.bytes[7] != WORD || !relocate(module, &found) ||
	    !vmt_gopclntab_open(&module->table, found.bytes, found.length, 0))
		return false;
	module->table_address = found.address;
	read_module_data(module);
	return makes_sense(module);
}

static bool
find_by_section(struct vmt_go_module *module)
{
	static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct candidate found;

		found.bytes =
		    vmt_elf_image_section(&module->image, names[i], &found.address, &found.length);
		if (found.bytes && try_table(module, found))
			return true;
	}
	return false;
}

/* Its other sections say so, or it has none that could. */
static bool
may_be_go(const struct vmt_elf_image *image)
{
	uint64_t address;
	size_t bytes;

	return vmt_elf_image_section(image, ".go.buildinfo", &address, &bytes) ||
	       vmt_elf_image_section(image, ".note.go.buildid", &address, &bytes) ||
	       !vmt_elf_image_section(image, ".shstrtab", &address, &bytes);
}

/* Tables are aligned to at least a word. */
static bool
find_by_scan(struct vmt_go_module *module)
{
	if (!may_be_go(&module->image))
		return false;
	for (size_t i = 0; i < module->image.segment_count; i++) {
		const struct vmt_elf_segment *segment = &module->image.segments[i];

		for (uint64_t at = -segment->address % WORD; at + WORD <= segment->bytes;
		     at += WORD) {
			struct candidate found = {segment->data + at, segment->bytes - at,
						  segment->address + at};

			if (try_table(module, found))
				return true;
		}
	}
	return false;
}

struct vmt_go_module *
vmt_go_module_open(const unsigned char *file, size_t bytes)
{
	struct vmt_go_module *module = calloc(1, sizeof(*module));

	if (!module)
		return NULL;
	if (vmt_elf_image_open(&module->image, file, bytes) &&
	    (find_by_section(module) || find_by_scan(module))) {
		assert(module->table.functions > 0);
		return module;
	}
	vmt_go_module_close(module);
	return NULL;
}

void
vmt_go_module_close(struct vmt_go_module *module)
{
	if (!module)
		return;
	vmt_elf_image_close(&module->image);
	free(module->relocated);
	free(module);
}
