#include "tools/cmd/snapshot_program.h"

#include "base/pages.h"
#include "base/procfs.h"
#include "unwind/go_functions.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* For a file that answers slowly, or has been made to take long. */
#define MOST_SECONDS 10u

/* What the child says of the file: addresses are the file's. */
struct told {
	bool is_known;
	bool is_go;
	bool is_fixed; /* linked for the addresses that it has */
	uint64_t low;
	uint64_t high;
	uint32_t build_id_bytes;
	unsigned char build_id[VMT_BUILD_ID_MAX_BYTES];
	struct vmt_go go;
};

static uint64_t
align4(uint64_t bytes)
{
	return (bytes + 3) & ~UINT64_C(3);
}

static void
read_notes(struct told *told, const struct vmt_go_file *file, const Elf64_Phdr *segment)
{
	uint64_t at = segment->p_offset;
	uint64_t end;
	const Elf64_Nhdr *note;

	if (__builtin_add_overflow(at, segment->p_filesz, &end) || at % 4 != 0)
		return;
	while ((note = vmt_go_image_at(file, at, sizeof(*note))) && at + sizeof(*note) < end) {
		uint64_t name = at + sizeof(*note);
		uint64_t content = name + align4(note->n_namesz);
		const char *owner = vmt_go_image_at(file, name, 4);
		const unsigned char *id = vmt_go_image_at(file, content, note->n_descsz);

		if (owner && id && note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
		    memcmp(owner, "GNU", 4) == 0) {
			told->build_id_bytes = note->n_descsz < sizeof(told->build_id)
						   ? note->n_descsz
						   : (uint32_t)sizeof(told->build_id);
			memcpy(told->build_id, id, told->build_id_bytes);
			return;
		}
		at = content + align4(note->n_descsz);
	}
}

static void
read_segments(struct told *told, const struct vmt_go_file *file, const Elf64_Ehdr *header)
{
	const Elf64_Phdr *segments =
	    vmt_go_image_at(file, header->e_phoff, (uint64_t)header->e_phnum * sizeof(*segments));
	uint64_t low = UINT64_MAX, high = 0, end;

	if (!segments || header->e_phoff % 8 != 0)
		return;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type == PT_NOTE && told->build_id_bytes == 0)
			read_notes(told, file, &segments[i]);
		if (segments[i].p_type != PT_LOAD ||
		    __builtin_add_overflow(segments[i].p_vaddr, segments[i].p_memsz, &end))
			continue;
		low = segments[i].p_vaddr < low ? segments[i].p_vaddr : low;
		high = end > high ? end : high;
	}
	told->is_known = low < high && high <= UINT64_MAX - vmt_page_bytes;
	told->low = vmt_pages_down(low, vmt_page_bytes);
	told->high = told->is_known ? vmt_pages_up(high, vmt_page_bytes) : 0;
	told->is_fixed = header->e_type == ET_EXEC;
}

static void
read_go(struct told *told, const struct vmt_go_file *file)
{
	static struct vmt_go_image image;
	struct vmt_go *go = &told->go;

	if (vmt_go_functions_read(&image, file) != NULL || image.version[0] == '\0')
		return;
	told->is_go = true;
	memcpy(go->version, image.version, sizeof(go->version));
	go->version[sizeof(go->version) - 1] = '\0';
	go->flags = (image.cgo ? VMT_GO_CGO : 0) | (image.stripped ? VMT_GO_STRIPPED : 0);
	go->text_low = image.text_low;
	go->text_high = image.text_high;
	go->objects_count = image.objects_count;
	memcpy(go->objects, image.objects, sizeof(go->objects));
}

static void
read_file(struct told *told, uint32_t pid)
{
	char path[64];
	struct stat status;
	struct vmt_go_file file;
	const Elf64_Ehdr *header;
	void *bytes;
	int fd;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
		return;
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return;
	file = (struct vmt_go_file){bytes, (uint64_t)status.st_size};
	header = vmt_go_image_at(&file, 0, sizeof(*header));
	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_phentsize != sizeof(Elf64_Phdr))
		return;
	read_segments(told, &file, header);
	if (told->is_known)
		read_go(told, &file);
}

/* A child that is killed by what it reads has told nothing. */
static bool
ask(struct told *told, uint32_t pid)
{
	struct told *shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = -1;
	pid_t child;

	if (shared == MAP_FAILED)
		return false;
	child = fork();
	if (child == 0) {
		alarm(MOST_SECONDS);
		read_file(shared, pid);
		_exit(0);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0)
		continue;
	*told = *shared;
	munmap(shared, sizeof(*shared));
	return child > 0 && status == 0 && told->is_known;
}

/* Where the program's first page lies. */
struct sought {
	const char *path;
	size_t path_bytes;
	uint64_t start; /* 0: not found */
};

static bool
find_start(void *context, const struct vmt_mapping *mapping)
{
	struct sought *sought = context;

	if (mapping->path_bytes != sought->path_bytes || mapping->file_offset != 0 ||
	    memcmp(mapping->path, sought->path, sought->path_bytes) != 0)
		return true;
	sought->start = mapping->start;
	return false;
}

static uint64_t
start_of(uint32_t pid, const char *path, size_t path_bytes)
{
	struct sought sought = {path, path_bytes, 0};
	char *buffer = malloc(VMT_PROCFS_LINE_BYTES);
	int fd = vmt_procfs_open(pid, "maps");

	if (fd >= 0 && buffer)
		(void)vmt_procfs_walk_maps(fd, buffer, VMT_PROCFS_LINE_BYTES, find_start, &sought);
	if (fd >= 0)
		close(fd);
	free(buffer);
	return sought.start;
}

static void
place(struct vmt_snapshot_program *program, const struct told *told, size_t path_bytes,
      uint64_t bias)
{
	program->module = (struct vmt_module){
	    .path = program->path,
	    .path_bytes = (uint32_t)path_bytes,
	    .build_id = program->build_id,
	    .build_id_bytes = told->build_id_bytes,
	    .low = told->low + bias,
	    .high = told->high + bias,
	    .bias = bias,
	};
	memcpy(program->build_id, told->build_id, sizeof(program->build_id));
	program->is_known = true;
	program->is_go = told->is_go;
	program->go = told->go;
	if (told->is_go && program->go.text_low != 0) {
		program->go.text_low += bias;
		program->go.text_high += bias;
	}
	for (uint32_t i = 0; i < program->go.objects_count; i++)
		program->go.objects[i].address += bias;
}

void
vmt_snapshot_program_find(struct vmt_snapshot_program *program, uint32_t pid)
{
	struct told told = {.is_known = false};
	char link[64];
	ssize_t length;
	uint64_t start;

	program->is_known = program->is_go = false;
	snprintf(link, sizeof(link), "/proc/%" PRIu32 "/exe", pid);
	length = readlink(link, program->path, sizeof(program->path));
	if (length <= 0 || (size_t)length == sizeof(program->path) || !ask(&told, pid))
		return;
	start = start_of(pid, program->path, (size_t)length);
	if (told.is_fixed)
		place(program, &told, (size_t)length, 0);
	else if (start != 0)
		place(program, &told, (size_t)length, start - told.low);
}
