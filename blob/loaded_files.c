#include "blob/loaded_files.h"

#include "base/procfs.h"
#include "base/sys.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>

struct listing {
	int (*visit)(struct dl_phdr_info *info, size_t size, void *context);
	void *context;
	int result;
};

static uint64_t program;

extern const ElfW(Ehdr) __ehdr_start[] __attribute__((visibility("hidden")));

void
vmt_loaded_files_set_program(uint64_t program_headers)
{
	program = program_headers;
}

/* The address of the file's byte 0 less that of the same byte in the file's own address space. */
static bool
find_bias(const ElfW(Ehdr) * header, const ElfW(Phdr) * headers, uint64_t *bias)
{
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (headers[i].p_type != PT_LOAD)
			continue;
		*bias = (uint64_t)header - (headers[i].p_vaddr - headers[i].p_offset);
		return true;
	}
	return false;
}

static bool
is_elf(const ElfW(Ehdr) * header, uint64_t room)
{
	return room >= sizeof(*header) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 &&
	       header->e_phentsize == sizeof(ElfW(Phdr)) && header->e_phoff < room &&
	       header->e_phnum <= (room - header->e_phoff) / sizeof(ElfW(Phdr));
}

static bool
visit_mapping(void *context, const struct vmt_mapping *mapping)
{
	static char path[VMT_PROCFS_LINE_BYTES];
	struct listing *listing = context;
	const ElfW(Ehdr) *header = (const void *)mapping->start;
	struct dl_phdr_info info = {.dlpi_name = path};
	uint64_t bias;

	if (mapping->path_bytes == 0 || mapping->path[0] != '/' || mapping->file_offset != 0 ||
	    !(mapping->protection & PROT_READ) || !is_elf(header, mapping->end - mapping->start))
		return true;
	info.dlpi_phdr = (const void *)(mapping->start + header->e_phoff);
	info.dlpi_phnum = header->e_phnum;
	if (!find_bias(header, info.dlpi_phdr, &bias))
		return true;
	info.dlpi_addr = bias;
	memcpy(path, mapping->path, mapping->path_bytes);
	path[mapping->path_bytes] = '\0';
	if ((uint64_t)info.dlpi_phdr == program)
		path[0] = '\0';
	listing->result =
	    listing->visit(&info, offsetof(struct dl_phdr_info, dlpi_adds), listing->context);
	return listing->result == 0;
}

/* The recorder itself, which lies in no file: its handlers stand in stacks. */
static int
visit_own(struct listing *listing)
{
	struct dl_phdr_info info = {
	    .dlpi_addr = (uint64_t)__ehdr_start,
	    .dlpi_name = "[vmtrace]",
	    .dlpi_phdr = (const void *)((const char *)__ehdr_start + __ehdr_start->e_phoff),
	    .dlpi_phnum = __ehdr_start->e_phnum,
	};

	return listing->visit(&info, offsetof(struct dl_phdr_info, dlpi_adds), listing->context);
}

int
vmt_loaded_files_list(int (*visit)(struct dl_phdr_info *info, size_t size, void *context),
		      void *context)
{
	static char buffer[2 * VMT_PROCFS_LINE_BYTES];
	struct listing listing = {.visit = visit, .context = context};
	int fd = vmt_procfs_open(0, "maps");

	if (fd < 0)
		return 0;
	(void)vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit_mapping, &listing);
	vmt_sys_close(fd);
	return listing.result != 0 ? listing.result : visit_own(&listing);
}
