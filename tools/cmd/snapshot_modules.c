#include "tools/cmd/snapshot_modules.h"

#include "base/pages.h"
#include "base/procfs.h"
#include "tools/read/elf/rooted_open.h"
#include "unwind/go_functions.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* For files that answer slowly, or have been made to take long. */
#define MOST_SECONDS 10u
#define MOST_SEGMENTS 1024u
#define NOTES_BYTES 4096u

/* Shared with the child, which fills in what it reads of the file: addresses are the file's. */
struct vmt_snapshot_module_file {
	uint64_t start; /* where its first page is mapped */
	uint64_t inode;
	bool is_program;
	bool is_known;
	bool is_fixed;	/* linked for the addresses that it has */
	bool may_be_go; /* by its variables of a thread, as in capture/go/go_runtime.c */
	bool has_go;	/* Go's linker has left its note there, or its section */
	bool is_go;	/* ... and `go` is of its runtime */
	uint64_t low;
	uint64_t high;
	uint32_t build_id_bytes;
	unsigned char build_id[VMT_BUILD_ID_MAX_BYTES];
};

/* What the maps show; then what the child says. */
struct search {
	struct vmt_snapshot_modules *modules;
	struct vmt_snapshot_module_file *files; /* VMT_SNAPSHOT_MODULES_MOST, shared */
	struct vmt_go *go;			/* shared; a version where it is Go */
	uint32_t pid;
	char exe[PATH_MAX];
	size_t exe_bytes;
};

static uint64_t
align4(uint64_t bytes)
{
	return (bytes + 3) & ~UINT64_C(3);
}

#define NT_GO_BUILD_ID 4u /* cmd/link/internal/ld/elf.go: ELF_NOTE_GOBUILDID_TAG */

static void
keep_note(struct vmt_snapshot_module_file *file, const Elf64_Nhdr *note, const unsigned char *name,
	  const unsigned char *content)
{
	if (note->n_namesz != 4)
		return;
	if (note->n_type == NT_GO_BUILD_ID && memcmp(name, "Go\0", 4) == 0)
		file->has_go = true;
	if (note->n_type != NT_GNU_BUILD_ID || memcmp(name, "GNU", 4) != 0 ||
	    file->build_id_bytes != 0)
		return;
	file->build_id_bytes = note->n_descsz < sizeof(file->build_id)
				   ? note->n_descsz
				   : (uint32_t)sizeof(file->build_id);
	memcpy(file->build_id, content, file->build_id_bytes);
}

static void
read_notes(struct vmt_snapshot_module_file *file, int fd, const Elf64_Phdr *segment)
{
	unsigned char bytes[NOTES_BYTES];
	size_t wanted = segment->p_filesz < sizeof(bytes) ? segment->p_filesz : sizeof(bytes);
	ssize_t got = pread(fd, bytes, wanted, (off_t)segment->p_offset);
	size_t at = 0;

	while (got > 0 && (size_t)got >= sizeof(Elf64_Nhdr) &&
	       at <= (size_t)got - sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t content;

		memcpy(&note, bytes + at, sizeof(note));
		content = at + sizeof(note) + align4(note.n_namesz);
		if (content > (size_t)got || note.n_descsz > (size_t)got - content)
			return;
		keep_note(file, &note, bytes + at + sizeof(note), bytes + content);
		at = (size_t)(content + align4(note.n_descsz));
	}
}

static void
read_segments(struct vmt_snapshot_module_file *file, int fd, const Elf64_Ehdr *header)
{
	static Elf64_Phdr segments[MOST_SEGMENTS];
	size_t bytes = header->e_phnum * sizeof(*segments);
	uint64_t low = UINT64_MAX, high = 0, end;

	if (header->e_phnum > MOST_SEGMENTS ||
	    pread(fd, segments, bytes, (off_t)header->e_phoff) != (ssize_t)bytes)
		return;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type == PT_NOTE)
			read_notes(file, fd, &segments[i]);
		file->may_be_go |= segments[i].p_type == PT_TLS && segments[i].p_filesz == 0;
		if (segments[i].p_type != PT_LOAD ||
		    __builtin_add_overflow(segments[i].p_vaddr, segments[i].p_memsz, &end))
			continue;
		low = segments[i].p_vaddr < low ? segments[i].p_vaddr : low;
		high = end > high ? end : high;
	}
	file->is_known = low < high && high <= UINT64_MAX - vmt_page_bytes;
	file->low = vmt_pages_down(low, vmt_page_bytes);
	file->high = file->is_known ? vmt_pages_up(high, vmt_page_bytes) : 0;
	file->is_fixed = header->e_type == ET_EXEC;
}

static void
read_go(struct vmt_go *go, int fd, size_t bytes)
{
	static struct vmt_go_image image;
	void *mapped = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	struct vmt_go_file file = {mapped, bytes};

	if (mapped == MAP_FAILED || vmt_go_functions_read(&image, &file) != NULL)
		return;
	memcpy(go->version, image.version, sizeof(go->version));
	go->version[sizeof(go->version) - 1] = '\0';
	go->flags = (image.cgo ? VMT_GO_CGO : 0) | (image.stripped ? VMT_GO_STRIPPED : 0);
	go->text_low = image.text_low;
	go->text_high = image.text_high;
	go->objects_count = image.objects_count;
	memcpy(go->objects, image.objects, sizeof(go->objects));
}

static bool
is_elf(const Elf64_Ehdr *header)
{
	return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB &&
	       header->e_phentsize == sizeof(Elf64_Phdr);
}

/* By its name in the process's root, or here: where the process has only changed its root. */
static int
find_file(const struct search *search, size_t i, bool in_root)
{
	const int flags = O_PATH | O_CLOEXEC;
	char place[64];

	snprintf(place, sizeof(place), "/proc/%" PRIu32 "/%s", search->pid,
		 search->files[i].is_program ? "exe" : "root");
	if (search->files[i].is_program)
		return open(place, flags);
	return vmt_rooted_open(in_root ? place : NULL, search->modules->paths[i], flags);
}

/* The file that is mapped. A process can name any file: it is opened for reading when it is known
 * to be a regular one, as to open a device or a pipe can do something. Its inode tells that it is
 * the mapped one; not its device, which maps and stat have different on overlayfs and btrfs.
 * Negative: it can't be opened, or is another. */
static int
open_file(const struct search *search, size_t i, struct stat *status)
{
	const struct vmt_snapshot_module_file *file = &search->files[i];
	char path[64];

	for (int form = 0; form < 2; form++) {
		int found = find_file(search, i, form == 0);
		int fd = -1;

		if (found >= 0 && fstat(found, status) == 0 && S_ISREG(status->st_mode) &&
		    (file->is_program || status->st_ino == file->inode)) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
			fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		}
		if (found >= 0)
			close(found);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* What the Go linker leaves in a file whose note it leaves out on wish (-buildid=). */
static bool
has_go_section(int fd, size_t bytes)
{
	void *mapped = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	const struct vmt_go_file file = {mapped, bytes};
	bool found = mapped != MAP_FAILED && vmt_go_image_is_go(&file);

	if (mapped != MAP_FAILED)
		munmap(mapped, bytes);
	return found;
}

static void
read_file(const struct search *search, size_t i)
{
	struct vmt_snapshot_module_file *file = &search->files[i];
	struct stat status;
	Elf64_Ehdr header;
	int fd = open_file(search, i, &status);

	if (fd < 0)
		return;
	if (pread(fd, &header, sizeof(header), 0) == sizeof(header) && is_elf(&header)) {
		read_segments(file, fd, &header);
		if (file->may_be_go && !file->has_go && !file->is_program)
			file->has_go = has_go_section(fd, (size_t)status.st_size);
	}
	close(fd);
}

static void
read_runtime(const struct search *search, size_t i)
{
	struct stat status;
	int fd = search->files[i].is_known ? open_file(search, i, &status) : -1;

	if (fd < 0)
		return;
	read_go(search->go, fd, (size_t)status.st_size);
	search->files[i].is_go = search->go->version[0] != '\0';
	close(fd);
}

/* Of a library with Go in it. */
static bool
is_plugin(const struct search *search, size_t i)
{
	struct stat status = {0};
	int fd = open_file(search, i, &status);
	void *mapped = fd >= 0 ? mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
			       : MAP_FAILED;
	struct vmt_go_file file = {mapped, (uint64_t)status.st_size};

	if (fd >= 0)
		close(fd);
	return mapped != MAP_FAILED && vmt_go_image_is_plugin(&file);
}

/* The program's own, else that of the last library which brings one. Where there are others, the
 * flags say so: none stands for all. */
static void
find_runtime(const struct search *search)
{
	size_t libraries = 0;
	size_t last = 0;

	for (size_t i = 0; i < search->modules->count; i++) {
		if (search->files[i].is_program && search->go->version[0] == '\0')
			read_runtime(search, i);
		if (!search->files[i].is_program && search->files[i].has_go &&
		    !is_plugin(search, i)) {
			libraries++;
			last = i;
		}
	}
	if (libraries != 0 && search->go->version[0] == '\0') {
		read_runtime(search, last);
		libraries--;
	}
	if (libraries != 0)
		search->go->flags |= VMT_GO_SEVERAL;
}

/* A child that is killed by what it reads has told what it had read before. */
static void
read_files(const struct search *search)
{
	pid_t child = fork();

	if (child == 0) {
		alarm(MOST_SECONDS);
		for (size_t i = 0; i < search->modules->count; i++)
			read_file(search, i);
		find_runtime(search);
		_exit(0);
	}
	/* Where SIGCHLD is ignored the child leaves nothing to wait for: ECHILD, when it has gone.
	 */
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static bool
note_mapping(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;
	struct vmt_snapshot_modules *modules = search->modules;
	char *path;

	if (mapping->shared || mapping->inode == 0 || mapping->file_offset != 0 ||
	    mapping->path_bytes == 0 || mapping->path[0] != '/')
		return true;
	path = strndup(mapping->path, mapping->path_bytes);
	if (!path)
		return false;
	modules->paths[modules->count] = path;
	search->files[modules->count++] = (struct vmt_snapshot_module_file){
	    .start = mapping->start,
	    .inode = mapping->inode,
	    .is_program = mapping->path_bytes == search->exe_bytes &&
			  memcmp(path, search->exe, search->exe_bytes) == 0,
	};
	return modules->count < VMT_SNAPSHOT_MODULES_MOST;
}

static void
read_maps(struct search *search)
{
	char *buffer = malloc(VMT_PROCFS_LINE_BYTES);
	int fd = vmt_procfs_open(search->pid, "maps");

	if (fd >= 0 && buffer)
		(void)vmt_procfs_walk_maps(fd, buffer, VMT_PROCFS_LINE_BYTES, note_mapping, search);
	if (fd >= 0)
		close(fd);
	free(buffer);
}

static void
place_go(struct vmt_snapshot_modules *modules, const struct vmt_go *go, uint64_t bias)
{
	modules->go = *go;
	modules->is_go = go->version[0] != '\0' && go->objects_count <= VMT_GO_OBJECTS;
	if (modules->go.text_low != 0) {
		modules->go.text_low += bias;
		modules->go.text_high += bias;
	}
	for (uint32_t i = 0; modules->is_go && i < go->objects_count; i++)
		modules->go.objects[i].address += bias;
}

/* Those that the child knows of. */
static void
place(struct search *search)
{
	struct vmt_snapshot_modules *modules = search->modules;
	size_t known = 0;

	for (size_t i = 0; i < modules->count; i++) {
		struct vmt_snapshot_module_file *file = &search->files[i];
		uint64_t bias = file->is_fixed ? 0 : file->start - file->low;

		if (!file->is_known || file->build_id_bytes > VMT_BUILD_ID_MAX_BYTES ||
		    (file->is_fixed && file->start != file->low))
			continue;
		modules->all[known++] = (struct vmt_module){
		    .path = modules->paths[i],
		    .path_bytes = (uint32_t)strlen(modules->paths[i]),
		    .build_id = file->build_id,
		    .build_id_bytes = file->build_id_bytes,
		    .low = file->low + bias,
		    .high = file->high + bias,
		    .bias = bias,
		};
		if (file->is_go) {
			place_go(modules, search->go, bias);
			modules->go_library = file->is_program ? NULL : modules->paths[i];
		}
	}
	modules->all_count = known;
}

static void *
map_shared(size_t bytes)
{
	void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

void
vmt_snapshot_modules_find(struct vmt_snapshot_modules *modules, uint32_t pid)
{
	struct search search = {.modules = modules, .pid = pid};
	char link[64];
	ssize_t length;

	*modules = (struct vmt_snapshot_modules){.count = 0};
	modules->all = calloc(VMT_SNAPSHOT_MODULES_MOST, sizeof(*modules->all));
	modules->paths = calloc(VMT_SNAPSHOT_MODULES_MOST, sizeof(*modules->paths));
	modules->files = map_shared(VMT_SNAPSHOT_MODULES_MOST * sizeof(*modules->files));
	search.files = modules->files;
	search.go = map_shared(sizeof(*search.go));
	snprintf(link, sizeof(link), "/proc/%" PRIu32 "/exe", pid);
	length = readlink(link, search.exe, sizeof(search.exe));
	search.exe_bytes = length > 0 ? (size_t)length : 0;
	if (modules->all && modules->paths && search.files && search.go) {
		read_maps(&search);
		read_files(&search);
		place(&search);
	}
	if (search.go)
		munmap(search.go, sizeof(*search.go));
}

void
vmt_snapshot_modules_free(struct vmt_snapshot_modules *modules)
{
	for (size_t i = 0; i < modules->count; i++)
		free(modules->paths[i]);
	free(modules->paths);
	free(modules->all);
	if (modules->files)
		munmap(modules->files, VMT_SNAPSHOT_MODULES_MOST * sizeof(*modules->files));
}
