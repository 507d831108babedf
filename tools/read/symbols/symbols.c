#include "tools/read/symbols/symbols.h"

#include "tools/hash_table.h"
#include "tools/read/elf/go_module.h"
#include "tools/read/symbols/debug_files.h"
#include "tools/read/symbols/demangle.h"
#include "tools/read/symbols/symbols_dwarf.h"
#include "tools/string_set.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct module {
	UT_hash_handle hh;
	struct vmt_debug_files files;
	bool distrusted; /* its debug information is left alone */
	bool read;	 /* what follows is known */
	struct vmt_symbols_dwarf *dwarf;
	struct vmt_go_module *go; /* NULL: not a Go program */
	const char *trouble;
	size_t key_bytes;
	unsigned char key[]; /* build-id, then path */
};

struct vmt_symbols {
	struct module *modules;
	struct vmt_string_set *texts; /* that live as long as this does */
	const char *root;
	const struct vmt_recorded_files *recorded;
};

struct vmt_symbols *
vmt_symbols_new(void)
{
	struct vmt_symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return NULL;
	symbols->texts = vmt_string_set_new();
	if (symbols->texts)
		return symbols;
	free(symbols);
	return NULL;
}

void
vmt_symbols_set_root(struct vmt_symbols *symbols, const char *root)
{
	assert(!symbols->modules);
	symbols->root = root;
}

void
vmt_symbols_set_recorded(struct vmt_symbols *symbols, const struct vmt_recorded_files *recorded)
{
	assert(!symbols->modules);
	symbols->recorded = recorded;
}

static void
free_module(struct module *module)
{
	vmt_symbols_dwarf_close(module->dwarf);
	vmt_go_module_close(module->go);
	vmt_debug_files_close(&module->files);
	free(module);
}

void
vmt_symbols_free(struct vmt_symbols *symbols)
{
	if (!symbols)
		return;
	VMT_HASH_TABLE_FREE(struct module, symbols->modules, free_module);
	vmt_string_set_free(symbols->texts);
	free(symbols);
}

/* The one copy of a string; NULL of NULL, or when out of memory. */
static const char *
keep(struct vmt_symbols *symbols, const char *string)
{
	return string ? vmt_string_set_intern(symbols->texts, string, strlen(string)) : NULL;
}

static const char *
keep_name(struct vmt_symbols *symbols, const struct vmt_symbols_dwarf_frame *frame)
{
	char *demangled = frame->linkage_name ? vmt_demangle_name(frame->linkage_name) : NULL;
	const char *name = frame->name ? frame->name : frame->linkage_name;
	char scoped[2 * VMT_SYMBOLS_DWARF_SCOPE_BYTES];
	const char *kept;

	if (demangled) {
		name = demangled;
	} else if (name && frame->scope[0] &&
		   strlen(name) < sizeof(scoped) - sizeof(frame->scope)) {
		snprintf(scoped, sizeof(scoped), "%s%s", frame->scope, name);
		name = scoped;
	}
	kept = keep(symbols, name);
	free(demangled);
	return kept;
}

static struct vmt_go_module *
open_go(struct vmt_elf_symbols *file)
{
	size_t length;
	const unsigned char *bytes = vmt_elf_symbols_bytes(file, &length);

	return bytes ? vmt_go_module_open(bytes, length) : NULL;
}

/* Why there are no lines. */
static const char *
lack_of(const struct module *known)
{
	if (known->go)
		return known->go->has_inlined ? "no debug information: only Go code has lines"
					      : "no debug information: only Go code has lines, and "
						"inlined calls are not told apart";
	return vmt_elf_symbols_has_symtab(known->files.program)
		   ? "no debug information: functions without lines"
		   : "stripped: only exported functions, without lines";
}

static struct vmt_symbols_dwarf *
open_dwarf(const struct module *known, struct vmt_elf_symbols *file)
{
	struct vmt_elf_symbols *alternate = known->files.alternate;

	if (!file || known->distrusted)
		return NULL;
	return vmt_symbols_dwarf_open(vmt_elf_symbols_handle(file),
				      alternate ? vmt_elf_symbols_handle(alternate) : NULL);
}

/* Looks into the files that were found. */
static void
read_module(struct module *known)
{
	if (known->read)
		return;
	known->read = true;
	known->dwarf = open_dwarf(known, known->files.program);
	if (!known->dwarf)
		known->dwarf = open_dwarf(known, known->files.debug);
	if (known->files.program)
		known->go = open_go(known->files.program);
	if (known->dwarf)
		known->trouble = NULL;
	else
		known->trouble = known->files.program ? lack_of(known) : known->files.trouble;
}

static struct module *
find_or_open(struct vmt_symbols *symbols, const struct vmt_module *module, bool distrust)
{
	size_t key_bytes = (size_t)module->build_id_bytes + module->path_bytes;
	struct module *known = malloc(sizeof(*known) + key_bytes + 1);
	struct module *found;
	char *path;

	if (!known)
		return NULL;
	memset(known, 0, sizeof(*known));
	if (module->build_id_bytes)
		memcpy(known->key, module->build_id, module->build_id_bytes);
	memcpy(known->key + module->build_id_bytes, module->path, module->path_bytes);
	known->key_bytes = key_bytes;
	HASH_FIND(hh, symbols->modules, known->key, key_bytes, found);
	path = found ? NULL : strndup(module->path, module->path_bytes);
	if (!path) {
		free(known);
		return found;
	}
	known->distrusted = distrust;
	vmt_debug_files_open(&known->files, symbols->root, path, module, symbols->recorded);
	free(path);
	HASH_ADD_KEYPTR(hh, symbols->modules, known->key, known->key_bytes, known);
	if (known->hh.tbl)
		return known;
	free_module(known);
	return NULL;
}

bool
vmt_symbols_open(struct vmt_symbols *symbols, const struct vmt_module *module, bool distrust)
{
	return find_or_open(symbols, module, distrust) != NULL;
}

static struct module *
find_module(struct vmt_symbols *symbols, const struct vmt_module *module)
{
	struct module *known = find_or_open(symbols, module, false);

	if (known)
		read_module(known);
	return known;
}

/* The name out of a symbol table: the file's own, then its debug file's. */
static const char *
find_in_tables(const struct module *known, uint64_t address)
{
	const char *name =
	    known->files.debug ? vmt_elf_symbols_find(known->files.debug, address) : NULL;

	if (!name && known->files.program)
		name = vmt_elf_symbols_find(known->files.program, address);
	return name;
}

/* The symbol table's word for the function itself: where the debug information has no name, or, as
 * for closures, one without its scope. */
static const char *
name_by_tables(struct vmt_symbols *symbols, const struct module *known, uint64_t address,
	       const char *known_name)
{
	const char *name = find_in_tables(known, address);
	char *demangled = name ? vmt_demangle_name(name) : NULL;
	const char *kept;

	if (known_name && !demangled)
		return known_name;
	kept = keep(symbols, demangled ? demangled : name);
	free(demangled);
	return kept;
}

/* A generic function's name without its type arguments, which depend on the compiler's version, as
 * the runtime itself prints it: from the first '[' to the last ']'. */
static const char *
keep_go_name(struct vmt_symbols *symbols, const char *name)
{
	const char *first = name ? strchr(name, '[') : NULL;
	const char *last = first ? strrchr(first, ']') : NULL;
	char text[1024];

	if (!last || strlen(name) >= sizeof(text) - 4)
		return keep(symbols, name);
	snprintf(text, sizeof(text), "%.*s[...]%s", (int)(first - name), name, last + 1);
	return keep(symbols, text);
}

/* Frames of Go code by its own table. */
static size_t
look_up_go(struct vmt_symbols *symbols, const struct module *known, uint64_t address,
	   struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED])
{
	struct vmt_gopclntab_frame found[VMT_SYMBOLS_MAX_INLINED];
	size_t count =
	    vmt_gopclntab_find(&known->go->table, address, found, VMT_SYMBOLS_MAX_INLINED);

	for (size_t i = 0; i < count; i++)
		frames[i] = (struct vmt_symbol){
		    .function = keep_go_name(symbols, found[i].function),
		    .file = keep(symbols, found[i].file),
		    .line = found[i].line,
		    .inlined = found[i].inlined,
		};
	return count;
}

/* Go names are never mangled, and the table of functions knows what is Go code. Where Go's own
 * linker links C code, the table has its functions too, but no file of them. */
static bool
is_go_code(const struct module *known, uint64_t address)
{
	struct vmt_gopclntab_frame frames[VMT_SYMBOLS_MAX_INLINED];

	return known->go &&
	       vmt_gopclntab_find(&known->go->table, address, frames, VMT_SYMBOLS_MAX_INLINED) &&
	       frames[0].file;
}

/* Made-up files stand in the debug information with a directory that is none. */
static const char *
go_file(const char *file)
{
	return file && file[0] == '.' && file[1] == '/' ? file + 2 : file;
}

/* Frames by the debug information. */
static size_t
look_up_dwarf(struct vmt_symbols *symbols, const struct module *known, uint64_t address, bool is_go,
	      struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED])
{
	struct vmt_symbols_dwarf_frame found[VMT_SYMBOLS_MAX_INLINED] = {{0}};
	struct vmt_symbol *outermost;
	size_t count = 0;

	if (known->dwarf)
		count =
		    vmt_symbols_dwarf_find(known->dwarf, address, found, VMT_SYMBOLS_MAX_INLINED);
	for (size_t i = 0; i < count; i++)
		frames[i] = (struct vmt_symbol){
		    .function = is_go ? keep_go_name(symbols, found[i].name)
				      : keep_name(symbols, &found[i]),
		    .file = keep(symbols, is_go ? go_file(found[i].file) : found[i].file),
		    .line = found[i].line,
		    .inlined = found[i].inlined,
		};
	if (count && (is_go || found[count - 1].linkage_name || found[count - 1].inlined))
		return count;
	if (count == 0)
		frames[0] = (struct vmt_symbol){0};
	outermost = &frames[count ? count - 1 : 0];
	outermost->function = name_by_tables(symbols, known, address, outermost->function);
	return count || !outermost->function ? count : 1;
}

/* Go's own table comes first where it knows inlined calls: the runtime's tracebacks rest on it,
 * while the debug information of cgo programs gives wrong call lines up to Go 1.22 (lines of the
 * file that cgo wrote, not of the one that it read). */
static size_t
look_up(struct vmt_symbols *symbols, struct module *known, uint64_t address,
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED])
{
	bool is_go = is_go_code(known, address);
	size_t count = 0;

	if (is_go && known->go->has_inlined)
		count = look_up_go(symbols, known, address, frames);
	if (count == 0)
		count = look_up_dwarf(symbols, known, address, is_go, frames);
	if (count == 0 && is_go)
		count = look_up_go(symbols, known, address, frames);
	for (size_t i = 0; i < count; i++)
		frames[i].is_go = is_go;
	return count;
}

size_t
vmt_symbols_resolve(struct vmt_symbols *symbols, const struct vmt_module *module, uint64_t address,
		    struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED])
{
	struct module *known = find_module(symbols, module);
	size_t count = known ? look_up(symbols, known, address, frames) : 0;

	assert(count <= VMT_SYMBOLS_MAX_INLINED);
	return count;
}

const char *
vmt_symbols_trouble(struct vmt_symbols *symbols, const struct vmt_module *module)
{
	const struct module *known = find_module(symbols, module);

	return known ? known->trouble : NULL;
}

bool
vmt_symbols_go_member(struct vmt_symbols *symbols, const struct vmt_module *module,
		      const char *variable, const char *path, struct vmt_symbol_place *place)
{
	const struct module *known = find_module(symbols, module);

	return known && known->dwarf &&
	       vmt_symbols_dwarf_member(known->dwarf, variable, path, &place->offset,
					&place->bytes);
}

bool
vmt_symbols_has_debug(struct vmt_symbols *symbols, const struct vmt_module *module)
{
	const struct module *known = find_module(symbols, module);

	return known && known->dwarf;
}
