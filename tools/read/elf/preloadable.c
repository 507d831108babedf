#include "tools/read/elf/preloadable.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_SCRIPTS 4
#define GO_INFO_BYTES 32u
#define MAX_SYMBOL_TABLES 4u /* a linker writes two */

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_NONE
#endif

static bool
is_executable(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static int
find_in_path(const char *command, char path[PATH_MAX], struct vmt_err *err)
{
	const char *list = getenv("PATH");
	const char *from;

	if (strchr(command, '/')) {
		if (snprintf(path, PATH_MAX, "%s", command) >= PATH_MAX)
			return vmt_err_set(err, ENAMETOOLONG, "%s: name too long", command);
		return 0;
	}
	for (from = list ? list : "/bin:/usr/bin"; *command; from++) {
		int length = (int)strcspn(from, ":");

		if (snprintf(path, PATH_MAX, "%.*s/%s", length ? length : 1, length ? from : ".",
			     command) < PATH_MAX &&
		    is_executable(path))
			return 0;
		from += length;
		if (!*from)
			break;
	}
	return vmt_err_set(err, ENOENT, "%s: not found in PATH", command);
}

static int
open_regular(const char *path, struct vmt_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0)
		return vmt_err_set(err, errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return fd;
	close(fd);
	return vmt_err_set(err, ENOEXEC, "%s: not a regular file", path);
}

bool
vmt_preloadable_find_elf(const char *command, char path[PATH_MAX])
{
	struct vmt_err err = {""};
	char magic[SELFMAG];
	bool found;
	int fd;

	if (find_in_path(command, path, &err) < 0)
		return false;
	fd = open_regular(path, &err);
	if (fd < 0)
		return false;
	found = pread(fd, magic, SELFMAG, 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
	close(fd);
	return found;
}

/* The command that a #! line names; of "/usr/bin/env NAME" it is NAME. */
static bool
read_script(int fd, char command[PATH_MAX])
{
	char line[PATH_MAX];
	ssize_t length = pread(fd, line, sizeof(line) - 1, 0);
	char *word;
	char *next;
	char *rest;

	if (length < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	word = strtok_r(line + 2, " \t\r", &rest);
	if (!word)
		return false;
	next = strtok_r(NULL, " \t\r", &rest);
	while (next && (*next == '-' || strchr(next, '=')))
		next = strtok_r(NULL, " \t\r", &rest);
	if (next && strlen(word) >= 4 && strcmp(word + strlen(word) - 4, "/env") == 0)
		word = next;
	snprintf(command, PATH_MAX, "%s", word);
	return true;
}

static void
read_privileges(struct vmt_preloadable *program, int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return;
	/* A set-id bit that changes nothing does not make the loader wary. */
	program->is_setuid = ((status.st_mode & S_ISUID) && status.st_uid != getuid()) ||
			     ((status.st_mode & S_ISGID) && status.st_gid != getgid());
	program->has_capabilities =
	    getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

static void
read_interpreter(struct vmt_preloadable *program, Elf *elf, int fd)
{
	size_t count = 0;

	elf_getphdrnum(elf, &count);
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		ssize_t length;

		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_INTERP ||
		    header.p_filesz == 0 || header.p_filesz >= sizeof(program->interpreter))
			continue;
		length = pread(fd, program->interpreter, header.p_filesz, (off_t)header.p_offset);
		program->interpreter[length > 0 ? length : 0] = '\0';
	}
	if (!program->interpreter[0])
		program->libc = VMT_PRELOADABLE_LIBC_NONE;
	else if (strstr(program->interpreter, "ld-musl"))
		program->libc = VMT_PRELOADABLE_LIBC_MUSL;
	else if (strstr(program->interpreter, "ld-linux"))
		program->libc = VMT_PRELOADABLE_LIBC_GLIBC;
	else
		program->libc = VMT_PRELOADABLE_LIBC_OTHER;
}

/* Static programs may be position-independent, too: they say that they are programs. */
static bool
says_it_is_a_program(Elf *elf)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		GElf_Dyn entry;
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNAMIC)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getdyn(data, i, &entry); i++)
			if (entry.d_tag == DT_FLAGS_1)
				return (entry.d_un.d_val & DF_1_PIE) != 0;
		return false;
	}
	return true;
}

static void
read_symbol(struct vmt_preloadable *program, const GElf_Sym *symbol, const char *name)
{
	if (strcmp(name, "malloc") == 0 && symbol->st_shndx != SHN_UNDEF &&
	    GELF_ST_TYPE(symbol->st_info) == STT_FUNC)
		program->defines_malloc = true;
	if (strcmp(name, "__asan_init") == 0 || strcmp(name, "__msan_init") == 0 ||
	    strcmp(name, "__tsan_init") == 0)
		program->is_sanitized = true;
	if (strcmp(name, "__tsan_go_atomic32_load") == 0)
		program->is_go_race = true;
}

/* A section of strings, of which the last byte ends each; NULL: it is none. libelf would search for
 * the end of every string of one that does not end so. */
static Elf_Data *
strings_of(Elf *elf, size_t index)
{
	Elf_Scn *section = elf_getscn(elf, index);
	Elf_Data *data = section ? elf_rawdata(section, NULL) : NULL;

	if (!data || data->d_size == 0 || ((const char *)data->d_buf)[data->d_size - 1] != '\0')
		return NULL;
	return data;
}

static const char *
string_at(const Elf_Data *strings, uint64_t offset)
{
	return offset < strings->d_size ? (const char *)strings->d_buf + offset : NULL;
}

static void
read_symbols(struct vmt_preloadable *program, Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *data = header->sh_entsize ? elf_getdata(section, NULL) : NULL;
	Elf_Data *strings = strings_of(elf, header->sh_link);
	size_t count = data && strings ? data->d_size / header->sh_entsize : 0;

	for (size_t i = 0; i < count && i < INT_MAX; i++) {
		GElf_Sym symbol;
		const char *name;

		if (!gelf_getsym(data, (int)i, &symbol))
			return;
		name = string_at(strings, symbol.st_name);
		if (name)
			read_symbol(program, &symbol, name);
	}
}

/* Since Go 1.18 the version stands inline behind a header of 32 bytes, its length before it
 * (debug/buildinfo). */
static void
read_go_version(struct vmt_preloadable *program, Elf_Scn *section)
{
	static const char magic[] = "\xff Go buildinf:";
	Elf_Data *data = elf_rawdata(section, NULL);
	const unsigned char *bytes = data ? data->d_buf : NULL;
	size_t length;

	program->is_go = true;
	if (!bytes || data->d_size <= GO_INFO_BYTES + 1 ||
	    memcmp(bytes, magic, sizeof(magic) - 1) != 0 || !(bytes[15] & 2))
		return;
	length = bytes[GO_INFO_BYTES];
	if (length >= sizeof(program->go_version) || GO_INFO_BYTES + 1 + length > data->d_size)
		return;
	memcpy(program->go_version, bytes + GO_INFO_BYTES + 1, length);
	program->go_version[length] = '\0';
}

static void
read_sections(struct vmt_preloadable *program, Elf *elf)
{
	Elf_Scn *section = NULL;
	Elf_Data *names;
	size_t index;
	unsigned tables = 0;

	if (elf_getshdrstrndx(elf, &index) < 0)
		return;
	names = strings_of(elf, index);
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header))
			continue;
		name = names ? string_at(names, header.sh_name) : NULL;
		if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM) {
			if (tables++ < MAX_SYMBOL_TABLES)
				read_symbols(program, elf, section, &header);
		} else if (name && strcmp(name, ".go.buildinfo") == 0) {
			read_go_version(program, section);
		} else if (name && strcmp(name, ".note.go.buildid") == 0) {
			program->is_go = true;
		}
	}
}

static int
read_elf(struct vmt_preloadable *program, int fd, struct vmt_err *err)
{
	GElf_Ehdr header;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header)) {
		elf_end(elf);
		return vmt_err_set(err, ENOEXEC, "%s: not an executable of this system",
				   program->path);
	}
	program->right_machine =
	    header.e_machine == MACHINE &&
	    header.e_ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32);
	read_interpreter(program, elf, fd);
	program->is_library = header.e_type == ET_DYN &&
			      program->libc == VMT_PRELOADABLE_LIBC_NONE &&
			      !says_it_is_a_program(elf);
	read_sections(program, elf);
	elf_end(elf);
	return 0;
}

int
vmt_preloadable_inspect(struct vmt_preloadable *program, const char *command, struct vmt_err *err)
{
	char next[PATH_MAX];
	int result;
	int fd;

	memset(program, 0, sizeof(*program));
	result = find_in_path(command, program->path, err);
	if (result < 0)
		return result;
	for (int scripts = 0;; scripts++) {
		fd = open_regular(program->path, err);
		if (fd < 0)
			return fd;
		if (scripts == MAX_SCRIPTS || !read_script(fd, next))
			break;
		close(fd);
		if (scripts == 0)
			memcpy(program->script, program->path, sizeof(program->script));
		result = find_in_path(next, program->path, err);
		if (result < 0)
			return result;
	}
	read_privileges(program, fd);
	result = read_elf(program, fd, err);
	close(fd);
	return result;
}

static bool
gains_privileges(const struct vmt_preloadable *program)
{
	return program->is_setuid || program->has_capabilities;
}

bool
vmt_preloadable_is_static(const struct vmt_preloadable *program)
{
	return MACHINE == EM_X86_64 && program->right_machine && !program->is_library &&
	       program->libc == VMT_PRELOADABLE_LIBC_NONE && !gains_privileges(program);
}

const char *
vmt_preloadable_obstacle(const struct vmt_preloadable *program, const char **remedy)
{
	if (!program->right_machine) {
		*remedy = "use a vmtrace built for the program's machine and word size";
		return "it is built for another machine or word size";
	}
	if (program->is_library) {
		*remedy = "run doctor on the program that loads it";
		return "it is a shared object, not a program";
	}
	if (gains_privileges(program)) {
		*remedy = "run it as the user it changes to, or a copy without set-id bits and "
			  "capabilities";
		return program->libc == VMT_PRELOADABLE_LIBC_NONE
			   ? "it gains privileges at its start, so nothing is put into it"
			   : "it gains privileges at its start, so the loader ignores LD_PRELOAD";
	}
	if (program->libc == VMT_PRELOADABLE_LIBC_NONE) {
		*remedy = program->is_go ? "build it with cgo: CGO_ENABLED=1 go build "
					   "-ldflags=-linkmode=external"
					 : "link it dynamically (without -static)";
		return "it is statically linked: no dynamic loader, no preload";
	}
	if (program->is_sanitized && !program->is_go_race) {
		*remedy = "record a build without -fsanitize";
		return "it is built with a sanitizer, whose own malloc and shadow memory would be "
		       "disturbed";
	}
	*remedy = NULL;
	return NULL;
}
