#include "preload/trace/own_file.h"

#include "base/pages.h"
#include "base/roomy.h"
#include "base/sys.h"

#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define PART_BYTES 4096u

/* The linker's name for this library's first byte. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static const char section_name[] = ".vmtrace_blob";

/* Whether a part of a file is what the library has there in memory. */
static bool
is_same_part(int fd, uint64_t offset, uint64_t bytes)
{
	static VMT_ROOMY unsigned char part[PART_BYTES];

	return bytes <= sizeof(part) && vmt_sys_pread(fd, part, bytes, offset) == (long)bytes &&
	       memcmp(part, __ehdr_start + offset, bytes) == 0;
}

/* Headers and build-id: the library's symbols in memory may have been changed by itself. */
static bool
is_same_library(int fd)
{
	const ElfW(Ehdr) *header = (const void *)__ehdr_start;
	const ElfW(Phdr) *segment = (const void *)(__ehdr_start + header->e_phoff);

	if (!is_same_part(fd, 0, sizeof(*header)) ||
	    !is_same_part(fd, header->e_phoff, header->e_phnum * sizeof(*segment)))
		return false;
	for (uint32_t i = 0; i < header->e_phnum; i++)
		if (segment[i].p_type == PT_NOTE && segment[i].p_offset == segment[i].p_vaddr &&
		    !is_same_part(fd, segment[i].p_offset, segment[i].p_filesz))
			return false;
	return true;
}

bool
vmt_own_file_is(const char *path)
{
	int fd = vmt_sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	bool same = fd >= 0 && is_same_library(fd);

	if (fd >= 0)
		vmt_sys_close(fd);
	return same;
}

static bool
read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
	return vmt_sys_pread(fd, to, bytes, offset) == (long)bytes;
}

static bool
read_section(int fd, const Elf64_Ehdr *header, unsigned index, Elf64_Shdr *section)
{
	return index < header->e_shnum && header->e_shentsize == sizeof(*section) &&
	       read_at(fd, section, sizeof(*section), header->e_shoff + index * sizeof(*section));
}

static bool
has_name(int fd, const Elf64_Shdr *names, const Elf64_Shdr *section)
{
	char name[sizeof(section_name)];

	return read_at(fd, name, sizeof(name), names->sh_offset + section->sh_name) &&
	       memcmp(name, section_name, sizeof(name)) == 0;
}

static bool
find_section(int fd, Elf64_Shdr *section)
{
	Elf64_Ehdr header;
	Elf64_Shdr names;

	if (!read_at(fd, &header, sizeof(header), 0) ||
	    !read_section(fd, &header, header.e_shstrndx, &names))
		return false;
	/* It stands near the end. */
	for (unsigned i = header.e_shnum; i-- > 0;)
		if (read_section(fd, &header, i, section) && has_name(fd, &names, section))
			return true;
	return false;
}

static struct vmt_own_file_blob
map_blob(int fd)
{
	struct vmt_own_file_blob blob = {NULL, 0};
	Elf64_Shdr section;
	uint64_t before;
	unsigned char *at;

	if (!is_same_library(fd) || !find_section(fd, &section))
		return blob;
	before = section.sh_offset % vmt_page_bytes;
	at = vmt_sys_mmap(NULL, before + section.sh_size, PROT_READ, MAP_PRIVATE, fd,
			  section.sh_offset - before);
	if (vmt_sys_failed(at))
		return blob;
	blob.bytes = at + before;
	blob.count = section.sh_size;
	return blob;
}

struct vmt_own_file_blob
vmt_own_file_map_blob(const char *path)
{
	struct vmt_own_file_blob blob = {NULL, 0};
	int fd = vmt_sys_open(path, O_RDONLY | O_NONBLOCK, 0);

	if (fd >= 0) {
		blob = map_blob(fd);
		vmt_sys_close(fd);
	}
	return blob;
}
