#include "tools/read/symbols/symbols_dwarf.h"

#include "tools/read/symbols/nested_ranges.h"

#include <assert.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

/* Damaged files can make trees endless. */
#define MAX_DEPTH 64u
#define MAX_ENTRIES (UINT32_C(1) << 24)

struct unit {
	Dwarf_Die root;
	struct vmt_nested_ranges functions;
	struct vmt_nested_ranges
	    scopes; /* namespaces and types: not of addresses, but of entries' offsets */
	bool indexed;
};

struct vmt_symbols_dwarf {
	Dwarf *dwarf;
	Dwarf *alternate; /* NULL = none */
	struct unit *units;
	size_t unit_count;
	size_t unit_room;
	struct vmt_nested_ranges ranges;
};

/* Every range of an entry; false when out of memory. */
static bool
add_ranges_of(struct vmt_nested_ranges *ranges, Dwarf_Die *die, uint32_t unit)
{
	Dwarf_Addr base;
	Dwarf_Addr start;
	Dwarf_Addr end;
	ptrdiff_t offset = 0;

	while ((offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0) {
		struct vmt_range range = {start, end, 0, unit, dwarf_dieoffset(die)};

		if (!vmt_nested_ranges_add(ranges, range))
			return false;
	}
	return true;
}

static bool
holds_functions(int tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_subprogram:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
		return true;
	default:
		return false;
	}
}

/* What names a function is looked for in. */
static bool
is_scope(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_structure_type ||
	       tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

struct index_walk {
	struct unit *unit;
	uint32_t budget;
	Dwarf_Off last; /* offset of the entry that was met last */
};

static bool index_children(struct index_walk *walk, Dwarf_Die *parent, unsigned depth);

/* The child itself, what lies in it, and from where to where that is. */
static bool
index_child(struct index_walk *walk, Dwarf_Die *child, int tag, unsigned depth)
{
	struct vmt_nested_ranges *scopes = &walk->unit->scopes;
	struct vmt_range scope = {.start = walk->last, .end = walk->last + 1, .entry = walk->last};
	size_t place = scopes->count;

	if (tag == DW_TAG_subprogram && !add_ranges_of(&walk->unit->functions, child, 0))
		return false;
	if (is_scope(tag) && !vmt_nested_ranges_add(scopes, scope))
		return false;
	if (!index_children(walk, child, depth + 1))
		return false;
	if (is_scope(tag))
		scopes->items[place].end = walk->last + 1;
	return true;
}

/* Functions in the tree below parent: closures lie in types, which lie in blocks of functions. */
static bool
index_children(struct index_walk *walk, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die child;

	if (depth == MAX_DEPTH || dwarf_child(parent, &child) != 0)
		return true;
	do {
		int tag = dwarf_tag(&child);

		if (walk->budget-- == 0)
			return false;
		if (!holds_functions(tag))
			continue;
		walk->last = dwarf_dieoffset(&child);
		if (!index_child(walk, &child, tag, depth))
			return false;
	} while (dwarf_siblingof(&child, &child) == 0);
	return true;
}

static void
index_functions(struct unit *unit)
{
	struct index_walk walk = {.unit = unit, .budget = MAX_ENTRIES};

	if (unit->indexed)
		return;
	unit->indexed = true;
	index_children(&walk, &unit->root, 0);
	vmt_nested_ranges_settle(&unit->functions);
	vmt_nested_ranges_settle(&unit->scopes);
}

static bool
add_unit(struct vmt_symbols_dwarf *dwarf, Dwarf_Die *root, Dwarf_Die *ranged)
{
	uint32_t number = (uint32_t)dwarf->unit_count;
	size_t before = dwarf->ranges.count;
	struct unit *unit;

	if (dwarf->unit_count == dwarf->unit_room) {
		size_t room = dwarf->unit_room ? 2 * dwarf->unit_room : 64;
		struct unit *grown = reallocarray(dwarf->units, room, sizeof(*grown));

		if (!grown)
			return false;
		dwarf->units = grown;
		dwarf->unit_room = room;
	}
	unit = &dwarf->units[dwarf->unit_count++];
	*unit = (struct unit){.root = *root};
	if (!add_ranges_of(&dwarf->ranges, ranged, number))
		return false;
	if (dwarf->ranges.count > before)
		return true;
	/* A unit that does not say where its code is: its functions do. */
	index_functions(unit);
	for (size_t i = 0; i < unit->functions.count; i++) {
		struct vmt_range range = unit->functions.items[i];

		range.unit = number;
		if (!vmt_nested_ranges_add(&dwarf->ranges, range))
			return false;
	}
	return true;
}

static void
index_units(struct vmt_symbols_dwarf *dwarf)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Half version;
	uint8_t type;
	Dwarf_Die root;
	Dwarf_Die split;

	while (dwarf_get_units(dwarf->dwarf, unit, &unit, &version, &type, &root, &split) == 0) {
		bool is_split = type == DW_UT_skeleton && split.addr;

		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		if (!add_unit(dwarf, is_split ? &split : &root, &root))
			break;
	}
	vmt_nested_ranges_settle(&dwarf->ranges);
}

struct vmt_symbols_dwarf *
vmt_symbols_dwarf_open(void *elf, void *alternate)
{
	struct vmt_symbols_dwarf *dwarf = calloc(1, sizeof(*dwarf));

	if (!dwarf)
		return NULL;
	dwarf->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (dwarf->dwarf && alternate)
		dwarf->alternate = dwarf_begin_elf(alternate, DWARF_C_READ, NULL);
	if (dwarf->alternate)
		dwarf_setalt(dwarf->dwarf, dwarf->alternate);
	if (dwarf->dwarf)
		index_units(dwarf);
	if (dwarf->ranges.count)
		return dwarf;
	vmt_symbols_dwarf_close(dwarf);
	return NULL;
}

void
vmt_symbols_dwarf_close(struct vmt_symbols_dwarf *dwarf)
{
	if (!dwarf)
		return;
	for (size_t i = 0; i < dwarf->unit_count; i++) {
		free(dwarf->units[i].functions.items);
		free(dwarf->units[i].scopes.items);
	}
	free(dwarf->units);
	free(dwarf->ranges.items);
	dwarf_end(dwarf->dwarf);
	dwarf_end(dwarf->alternate);
	free(dwarf);
}

static const char *
attribute_text(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;

	return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

/* Where the function was declared: there it stands within its namespaces and types. */
static Dwarf_Die
declaration_of(const Dwarf_Die *die)
{
	Dwarf_Die at = *die;

	for (unsigned depth = 0; depth < MAX_DEPTH; depth++) {
		Dwarf_Attribute attribute;
		Dwarf_Die next;

		if (!dwarf_attr(&at, DW_AT_abstract_origin, &attribute) &&
		    !dwarf_attr(&at, DW_AT_specification, &attribute))
			break;
		if (!dwarf_formref_die(&attribute, &next))
			break;
		at = next;
	}
	return at;
}

/* Puts a scope's name before those in it; what has no room or no name is left out. */
static void
prepend_scope(char scope[VMT_SYMBOLS_DWARF_SCOPE_BYTES], Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);
	size_t used = strlen(scope);
	size_t length;

	if (!name && dwarf_tag(die) == DW_TAG_namespace)
		name = "(anonymous namespace)";
	length = name ? strlen(name) : 0;
	if (!length || used + length + 2 >= VMT_SYMBOLS_DWARF_SCOPE_BYTES)
		return;
	memmove(scope + length + 2, scope, used + 1);
	memcpy(scope, name, length);
	scope[length] = ':';
	scope[length + 1] = ':';
}

static void
find_scope(const struct unit *unit, const Dwarf_Die *die, char scope[VMT_SYMBOLS_DWARF_SCOPE_BYTES])
{
	Dwarf_Die declaration = declaration_of(die);
	Dwarf_Off offset = dwarf_dieoffset(&declaration);
	const struct vmt_range *inner;
	Dwarf_Die around;

	if (declaration.cu != unit->root.cu)
		return;
	for (inner = vmt_nested_ranges_find(&unit->scopes, offset); inner;
	     inner = vmt_nested_ranges_around(&unit->scopes, inner, offset))
		if (dwarf_offdie(dwarf_cu_getdwarf(unit->root.cu), inner->entry, &around))
			prepend_scope(scope, &around);
}

static void
name_frame(const struct unit *unit, struct vmt_symbols_dwarf_frame *frame, Dwarf_Die *die)
{
	frame->name = attribute_text(die, DW_AT_name);
	frame->linkage_name = attribute_text(die, DW_AT_linkage_name);
	if (!frame->linkage_name)
		frame->linkage_name = attribute_text(die, DW_AT_MIPS_linkage_name);
	if (!frame->linkage_name)
		find_scope(unit, die, frame->scope);
	frame->inlined = dwarf_tag(die) == DW_TAG_inlined_subroutine;
}

/* Where the inlined function was called: the line of the frame around it. */
static void
place_call(struct vmt_symbols_dwarf_frame *frame, Dwarf_Die *inlined, Dwarf_Die *root)
{
	Dwarf_Attribute attribute;
	Dwarf_Files *files;
	Dwarf_Word number;
	size_t count;

	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &number) == 0)
		frame->line = (uint32_t)number;
	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &number) == 0 &&
	    dwarf_getsrcfiles(root, &files, &count) == 0 && number < count)
		frame->file = dwarf_filesrc(files, number, NULL, NULL);
}

/* The child block or inlined function of parent that covers the address. */
static bool
descend(Dwarf_Die *parent, uint64_t address, Dwarf_Die *found, uint32_t *budget)
{
	if (dwarf_child(parent, found) != 0)
		return false;
	do {
		int tag = dwarf_tag(found);

		if ((*budget)-- == 0)
			return false;
		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		     tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
		    dwarf_haspc(found, address) == 1)
			return true;
	} while (dwarf_siblingof(found, found) == 0);
	return false;
}

/* The function's entry and those of what is inlined there, outermost first. */
static size_t
find_chain(Dwarf_Die *function, uint64_t address, Dwarf_Die chain[MAX_DEPTH])
{
	uint32_t budget = MAX_ENTRIES;
	Dwarf_Die at = *function;
	Dwarf_Die next;
	size_t count = 1;

	chain[0] = *function;
	for (unsigned depth = 0; depth < MAX_DEPTH && count < MAX_DEPTH; depth++) {
		if (!descend(&at, address, &next, &budget))
			break;
		if (dwarf_tag(&next) == DW_TAG_inlined_subroutine)
			chain[count++] = next;
		at = next;
	}
	return count;
}

static void
place_line(struct vmt_symbols_dwarf_frame *frame, Dwarf_Die *root, uint64_t address)
{
	Dwarf_Line *line = dwarf_getsrc_die(root, address);
	int number = 0;

	if (!line)
		return;
	frame->file = dwarf_linesrc(line, NULL, NULL);
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		frame->line = (uint32_t)number;
}

size_t
vmt_symbols_dwarf_find(struct vmt_symbols_dwarf *dwarf, uint64_t address,
		       struct vmt_symbols_dwarf_frame *frames, size_t room)
{
	const struct vmt_range *range = vmt_nested_ranges_find(&dwarf->ranges, address);
	Dwarf_Die chain[MAX_DEPTH];
	Dwarf_Die function;
	struct unit *unit;
	size_t count = 0;

	assert(room > 0);
	if (!range)
		return 0;
	unit = &dwarf->units[range->unit];
	index_functions(unit);
	memset(frames, 0, room * sizeof(*frames));
	place_line(&frames[0], &unit->root, address);
	range = vmt_nested_ranges_find(&unit->functions, address);
	if (range && dwarf_offdie(dwarf_cu_getdwarf(unit->root.cu), range->entry, &function))
		count = find_chain(&function, address, chain);
	if (count == 0)
		return frames[0].line ? 1 : 0;
	/* Of a chain that is too long the outer frames go: the inner ones say what happened. */
	for (size_t i = 0; i < count && i < room; i++) {
		Dwarf_Die *die = &chain[count - 1 - i];

		name_frame(unit, &frames[i], die);
		if (i + 1 < count && i + 1 < room)
			place_call(&frames[i + 1], die, &unit->root);
	}
	return count < room ? count : room;
}

/* A unit of Go code is a package, whose path stands before the last dot of its variables. */
static bool
is_package_of(Dwarf_Die *root, const char *variable)
{
	const char *name = dwarf_diename(root);
	size_t length = name ? strlen(name) : 0;
	const char *dot = strrchr(variable, '.');

	return name && dot && length == (size_t)(dot - variable) &&
	       memcmp(name, variable, length) == 0;
}

static bool
find_child(Dwarf_Die *parent, int tag, const char *name, size_t name_bytes, Dwarf_Die *found)
{
	uint32_t budget = MAX_ENTRIES;

	if (dwarf_child(parent, found) != 0)
		return false;
	do {
		const char *other;

		if (dwarf_tag(found) != tag)
			continue;
		other = dwarf_diename(found);
		if (other && strlen(other) == name_bytes && memcmp(other, name, name_bytes) == 0)
			return true;
	} while (--budget && dwarf_siblingof(found, found) == 0);
	return false;
}

/* The type behind names for it. */
static bool
type_of(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute attribute;

	return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attribute), type) &&
	       dwarf_peel_type(type, type) == 0;
}

/* One step of a path: a member's name, or an array's index. */
static bool
step_into(Dwarf_Die *type, const char *name, size_t name_bytes, uint64_t *offset)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value = 0;
	Dwarf_Die member;

	if (dwarf_tag(type) == DW_TAG_array_type) {
		char *end;
		unsigned long index = strtoul(name, &end, 10);

		if (end != name + name_bytes || index > UINT16_MAX || !type_of(type, &member) ||
		    dwarf_aggregate_size(&member, &value) != 0)
			return false;
		*offset += index * value;
		*type = member;
		return true;
	}
	if (dwarf_tag(type) != DW_TAG_structure_type ||
	    !find_child(type, DW_TAG_member, name, name_bytes, &member) ||
	    dwarf_formudata(dwarf_attr(&member, DW_AT_data_member_location, &attribute), &value))
		return false;
	*offset += value;
	return type_of(&member, type);
}

bool
vmt_symbols_dwarf_member(struct vmt_symbols_dwarf *dwarf, const char *variable, const char *path,
			 uint64_t *offset, uint64_t *bytes)
{
	Dwarf_Die found;
	Dwarf_Die type;
	bool known = false;

	for (size_t i = 0; i < dwarf->unit_count && !known; i++)
		known = is_package_of(&dwarf->units[i].root, variable) &&
			find_child(&dwarf->units[i].root, DW_TAG_variable, variable,
				   strlen(variable), &found);
	if (!known || !type_of(&found, &type))
		return false;
	*offset = 0;
	while (*path) {
		size_t length = strcspn(path, ".");

		if (!step_into(&type, path, length, offset))
			return false;
		path += length + (path[length] == '.');
	}
	return dwarf_aggregate_size(&type, bytes) == 0;
}
