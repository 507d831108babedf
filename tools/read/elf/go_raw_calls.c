#include "tools/read/elf/go_raw_calls.h"

#include "format/go_forms.h"
#include "format/go_offsets.h"
#include "tools/read/elf/elf_symbols.h"
#include "tools/read/elf/go_module.h"
#include "unwind/go_functions.h"

#include <elf.h>
#include <string.h>

#if defined(VMT_GO_FORM_MADVISE)
#define SYMBOL(name, ...)                                                                          \
	{                                                                                          \
		(name), sizeof((const unsigned char[]){__VA_ARGS__}),                              \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

/* Syscall6 has moved over the versions. Forms of one function stand side by side. */
static const struct form {
	const char *symbol;
	size_t bytes_count;
	unsigned char bytes[48];
} forms[] = {
    SYMBOL("runtime.madvise", VMT_GO_FORM_MADVISE),
    SYMBOL("runtime.madvise", VMT_GO_FORM_MADVISE_SHORT),
    SYMBOL("runtime.sysMmap", VMT_GO_FORM_MMAP),
    SYMBOL("runtime.sysMunmap", VMT_GO_FORM_MUNMAP),
    SYMBOL("runtime.sysMunmap", VMT_GO_FORM_MUNMAP_SHORT),
    SYMBOL("runtime.exit", VMT_GO_FORM_EXIT),
    SYMBOL("runtime/internal/syscall.Syscall6", VMT_GO_FORM_SYSCALL),
    SYMBOL("internal/runtime/syscall.Syscall6", VMT_GO_FORM_SYSCALL),
    SYMBOL("internal/runtime/syscall/linux.Syscall6", VMT_GO_FORM_SYSCALL),
};
#define FORM_COUNT (sizeof(forms) / sizeof(*forms))
_Static_assert(FORM_COUNT <= VMT_GO_RAW_CALLS_SITES, "there may be a row for each");

/* The assembly, not its wrapper: one of the functions of that name has the bytes. */
static bool
has_bytes(const struct vmt_go_module *module, const struct vmt_gopclntab_function *function,
	  const struct form *form)
{
	size_t available;
	const unsigned char *code = vmt_elf_image_at(&module->image, function->start, &available);

	return code && available >= form->bytes_count &&
	       memcmp(code, form->bytes, form->bytes_count) == 0;
}

/* A row for each function that is there, whichever of its forms it has. */
static void
add_form(struct vmt_go_raw_calls *program, const struct vmt_go_module *module,
	 const struct form *form)
{
	struct vmt_go_raw_calls_site *last =
	    program->site_count > 0 ? &program->sites[program->site_count - 1] : NULL;
	struct vmt_go_raw_calls_site site = {.symbol = form->symbol};
	struct vmt_gopclntab_function function;
	uint64_t cursor = 0;
	bool found = false;

	while (vmt_gopclntab_named(&module->table, site.symbol, &cursor, &function)) {
		found = true;
		site.known |= has_bytes(module, &function, form);
	}
	if (last && strcmp(last->symbol, site.symbol) == 0)
		last->known |= site.known;
	else if (found)
		program->sites[program->site_count++] = site;
}

static void
find_sites(struct vmt_go_raw_calls *program, const struct vmt_go_module *module)
{
	Elf64_Ehdr header;

	memcpy(&header, module->image.file, sizeof(header));
	program->supported = header.e_machine == EM_X86_64;
	for (size_t i = 0; program->supported && i < FORM_COUNT; i++)
		add_form(program, module, &forms[i]);
}
#else
static void
find_sites(struct vmt_go_raw_calls *program, const struct vmt_go_module *module)
{
	(void)program;
	(void)module;
}
#endif

/* crosscall2 is how C calls Go: runtime/cgo brings it. */
static bool
has_cgo(const struct vmt_go_module *module)
{
	struct vmt_gopclntab_function function;
	uint64_t cursor = 0;

	return vmt_gopclntab_named(&module->table, "crosscall2", &cursor, &function);
}

static bool
has_debug(const struct vmt_go_module *module)
{
	uint64_t address;
	size_t bytes;

	return vmt_elf_image_section(&module->image, ".debug_info", &address, &bytes) ||
	       vmt_elf_image_section(&module->image, ".zdebug_info", &address, &bytes);
}

/* What is read of the runtime from outside. */
static void
find_objects(struct vmt_go_raw_calls *program, const unsigned char *bytes, size_t length)
{
	static struct vmt_go_image image;
	const struct vmt_go_file file = {bytes, length};
	const struct vmt_go_offsets *offsets;
	bool is_there = vmt_go_functions_read(&image, &file) == NULL;

	memcpy(program->version, image.version, sizeof(program->version));
	program->version[sizeof(program->version) - 1] = '\0';
	offsets = vmt_go_offsets_of(program->version);
	for (uint32_t i = 0; is_there && i < image.objects_count; i++) {
		const char *symbol = image.objects[i].symbol;

		if (strcmp(symbol, VMT_GO_CONTROLLER_SYMBOL) == 0)
			program->has_counters = program->has_debug || offsets;
		if (strcmp(symbol, VMT_GO_HEAP_SYMBOL) == 0)
			program->has_heap = offsets != NULL;
		if (strcmp(symbol, VMT_GO_PROFILE_SYMBOL) == 0) {
			program->lacks_profile = offsets && image.profile_disabled != 0;
			program->has_profile = offsets && !program->lacks_profile;
		}
	}
}

bool
vmt_go_raw_calls_inspect(struct vmt_go_raw_calls *program, const char *path)
{
	const char *why;
	struct vmt_elf_symbols *file = vmt_elf_symbols_open(path, &why);
	struct vmt_go_module *module = NULL;
	const unsigned char *bytes;
	size_t length;

	*program = (struct vmt_go_raw_calls){.is_go = false};
	if (!file)
		return false;
	bytes = vmt_elf_symbols_bytes(file, &length);
	if (bytes)
		module = vmt_go_module_open(bytes, length);
	if (module) {
		program->is_go = true;
		program->cgo = has_cgo(module);
		program->has_symbols = vmt_elf_symbols_has_symtab(file);
		program->has_debug = has_debug(module);
		program->has_inlined = module->has_inlined;
		find_objects(program, bytes, length);
		find_sites(program, module);
	}
	vmt_go_module_close(module);
	vmt_elf_symbols_close(file);
	return true;
}
