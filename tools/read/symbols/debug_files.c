#include "tools/read/symbols/debug_files.h"

#include "tools/read/elf/rooted_open.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define DEBUG_ROOT "/usr/lib/debug"
#define SHARED_BY_DWZ ".dwz/"

static bool
has_build_id(struct vmt_elf_symbols *file, const unsigned char *wanted, size_t wanted_bytes)
{
	const unsigned char *id = NULL;
	size_t length = vmt_elf_symbols_build_id(file, &id);

	/* The module table keeps a long one's beginning. */
	return length >= wanted_bytes && memcmp(id, wanted, wanted_bytes) == 0;
}

static bool
is_same_build(struct vmt_elf_symbols *file, const struct vmt_module *module)
{
	return has_build_id(file, module->build_id, module->build_id_bytes);
}

static struct vmt_elf_symbols *
open_below(const char *root, const char *path, const char **why)
{
	/* O_NONBLOCK: a FIFO must not hold us up before fstat has told. */
	return vmt_elf_symbols_open_fd(
	    vmt_rooted_open(root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), why);
}

/* A debug file by name: taken when its build-id, or else its checksum, is right. */
static struct vmt_elf_symbols *
open_debug(const char *root, const char *path, const struct vmt_module *module,
	   const uint32_t *checksum)
{
	const char *why;
	struct vmt_elf_symbols *file = open_below(root, path, &why);
	uint32_t found = 0;
	bool right;

	if (!file)
		return NULL;
	if (module->build_id_bytes)
		right = is_same_build(file, module);
	else
		right = checksum && vmt_elf_symbols_checksum(file, &found) && found == *checksum;
	if (right)
		return file;
	vmt_elf_symbols_close(file);
	return NULL;
}

static struct vmt_elf_symbols *
find_debug_by_build_id(const char *root, const struct vmt_module *module)
{
	char path[sizeof(DEBUG_ROOT) + (size_t)2 * VMT_BUILD_ID_MAX_BYTES + 32];
	size_t used;

	if (module->build_id_bytes < 2 || module->build_id_bytes > VMT_BUILD_ID_MAX_BYTES)
		return NULL;
	used = (size_t)snprintf(path, sizeof(path), DEBUG_ROOT "/.build-id/%02x/",
				module->build_id[0]);
	for (uint32_t i = 1; i < module->build_id_bytes; i++)
		used +=
		    (size_t)snprintf(path + used, sizeof(path) - used, "%02x", module->build_id[i]);
	snprintf(path + used, sizeof(path) - used, ".debug");
	return open_debug(root, path, module, NULL);
}

/* Beside the file, in .debug beside it, and below /usr/lib/debug, as gdb looks. */
static struct vmt_elf_symbols *
find_debug_by_link(const struct vmt_debug_files *files, const char *root, const char *program,
		   const struct vmt_module *module)
{
	static const char *const forms[] = {"%.*s/%s", "%.*s/.debug/%s", DEBUG_ROOT "%.*s/%s"};
	const char *slash = strrchr(program, '/');
	const char *name;
	uint32_t checksum;

	name = files->program ? vmt_elf_symbols_debuglink(files->program, &checksum) : NULL;
	if (!name || !slash || strchr(name, '/'))
		return NULL;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct vmt_elf_symbols *file;
		char path[2 * PATH_MAX];

		snprintf(path, sizeof(path), forms[i], (int)(slash - program), program, name);
		file = strcmp(path, program) ? open_debug(root, path, module, &checksum) : NULL;
		if (file)
			return file;
	}
	return NULL;
}

/* The path may be absolute or relative, with any number of ".." in front: where distributions put
 * such files is known, and nowhere else is looked. */
static struct vmt_elf_symbols *
find_alternate(const struct vmt_debug_files *files, const char *root)
{
	const unsigned char *id;
	size_t id_bytes;
	const char *name =
	    vmt_elf_symbols_altlink(files->debug ? files->debug : files->program, &id, &id_bytes);
	const char *shared = name ? strstr(name, SHARED_BY_DWZ) : NULL;
	struct vmt_elf_symbols *file;
	char path[PATH_MAX];
	const char *why;

	if (!shared || strstr(shared, "..") || strlen(shared) >= PATH_MAX - sizeof(DEBUG_ROOT))
		return NULL;
	snprintf(path, sizeof(path), DEBUG_ROOT "/%s", shared);
	file = open_below(root, path, &why);
	if (!file || has_build_id(file, id, id_bytes))
		return file;
	vmt_elf_symbols_close(file);
	return NULL;
}

/* NULL where it is, else why not. */
static const char *
why_not_recorded(struct vmt_elf_symbols *file, const struct vmt_module *module,
		 const struct vmt_recorded_files *recorded)
{
	if (module->build_id_bytes)
		return is_same_build(file, module)
			   ? NULL
			   : "the file has changed since it was recorded (build-id differs)";
	return !recorded || vmt_recorded_files_has(recorded, vmt_elf_symbols_fd(file))
		   ? NULL
		   : VMT_DEBUG_FILES_MAY_HAVE_CHANGED;
}

void
vmt_debug_files_open(struct vmt_debug_files *files, const char *root, const char *path,
		     const struct vmt_module *module, const struct vmt_recorded_files *recorded)
{
	const char *why_not = NULL;

	*files = (struct vmt_debug_files){0};
	files->program = open_below(root, path, &files->trouble);
	if (files->program)
		why_not = why_not_recorded(files->program, module, recorded);
	if (why_not) {
		files->trouble = why_not;
		vmt_elf_symbols_close(files->program);
		files->program = NULL;
	}
	if (!files->program || !vmt_elf_symbols_has_dwarf(files->program)) {
		files->debug = find_debug_by_build_id(root, module);
		if (!files->debug)
			files->debug = find_debug_by_link(files, root, path, module);
	}
	if (files->program || files->debug)
		files->alternate = find_alternate(files, root);
}

void
vmt_debug_files_close(struct vmt_debug_files *files)
{
	vmt_elf_symbols_close(files->alternate);
	vmt_elf_symbols_close(files->debug);
	vmt_elf_symbols_close(files->program);
}
