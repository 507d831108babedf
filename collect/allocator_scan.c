#include "collect/allocator_scan.h"

#include "base/sys.h"
#include "collect/trace_clock.h"
#include "format/allocator_code.h"

#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define MOST_SECTIONS 256u
#define SECTIONS 64u /* that are read at a time */
#define MOST_BYTES (UINT64_C(64) << 20)
#define MOST_CHEAP_BYTES (UINT64_C(2) << 20)
#define MOST_GAP_BYTES 16u /* of padding between functions that are one range */
#define PAYLOAD_BYTES                                                                              \
	(sizeof(struct vmt_allocator_code) +                                                       \
	 VMT_ALLOCATOR_RANGES * sizeof(struct vmt_allocator_range))

/* In one mapping: payload, then symbols, then their names. */
struct work {
	unsigned char *base;
	uint64_t bytes;
	uint64_t symbols;
	uint64_t symbol_bytes;
	uint64_t names;
	uint64_t name_bytes;
	const char *allocator; /* whose functions were found first; NULL = none yet */
	uint32_t count;
};

static bool
read_all(int fd, void *to, uint64_t bytes, uint64_t offset)
{
	unsigned char *at = to;

	while (bytes > 0) {
		long got = vmt_sys_pread(fd, at, bytes, offset);

		if (got <= 0)
			return false;
		at += got;
		bytes -= (uint64_t)got;
		offset += (uint64_t)got;
	}
	return true;
}

static bool
is_elf(const Elf64_Ehdr *head)
{
	return memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
	       head->e_ident[EI_CLASS] == ELFCLASS64 && head->e_shentsize == sizeof(Elf64_Shdr) &&
	       head->e_shnum <= MOST_SECTIONS;
}

/* Many with each call: most programs have some thirty. */
static int
find_symbols(int fd, const Elf64_Ehdr *head, Elf64_Shdr *symbols)
{
	Elf64_Shdr sections[SECTIONS] = {{0}};

	for (uint32_t at = 0; at < head->e_shnum; at += SECTIONS) {
		uint32_t left = head->e_shnum - at;
		uint32_t count = left < SECTIONS ? left : SECTIONS;

		if (!read_all(fd, sections, count * sizeof(*sections),
			      head->e_shoff + at * sizeof(*sections)))
			return -EIO;
		for (uint32_t i = 0; i < count; i++) {
			if (sections[i].sh_type == SHT_SYMTAB) {
				*symbols = sections[i];
				return 0;
			}
		}
	}
	return -ENOENT;
}

/* The symbol table, and the section of its names. */
static int
find_tables(int fd, Elf64_Shdr *symbols, Elf64_Shdr *names)
{
	Elf64_Ehdr head;
	int result;

	if (!read_all(fd, &head, sizeof(head), 0) || !is_elf(&head))
		return -ENOEXEC;
	result = find_symbols(fd, &head, symbols);
	if (result < 0)
		return result;
	if (symbols->sh_link >= head.e_shnum ||
	    !read_all(fd, names, sizeof(*names), head.e_shoff + symbols->sh_link * sizeof(*names)))
		return -ENOEXEC;
	return 0;
}

static int
read_tables(const struct vmt_allocator_scan_job *job, struct work *work)
{
	uint64_t most = job->defines_malloc ? MOST_BYTES : MOST_CHEAP_BYTES;
	Elf64_Shdr symbols, names;
	int result = find_tables(job->exe_fd, &symbols, &names);

	if (result < 0)
		return result;
	if (symbols.sh_size > most || names.sh_size > most || names.sh_size == 0)
		return -E2BIG;
	work->symbols = (PAYLOAD_BYTES + 15) & ~UINT64_C(15);
	work->symbol_bytes = symbols.sh_size / sizeof(Elf64_Sym) * sizeof(Elf64_Sym);
	work->names = work->symbols + work->symbol_bytes;
	work->name_bytes = names.sh_size;
	work->bytes = work->names + work->name_bytes;
	work->base = vmt_sys_mmap(NULL, work->bytes, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vmt_sys_failed(work->base)) {
		work->base = NULL;
		return -ENOMEM;
	}
	if (!read_all(job->exe_fd, work->base + work->symbols, work->symbol_bytes,
		      symbols.sh_offset) ||
	    !read_all(job->exe_fd, work->base + work->names, work->name_bytes, names.sh_offset))
		return -EIO;
	return 0;
}

static bool
begins_with(const char *name, uint64_t name_room, const char *prefix)
{
	size_t length = strlen(prefix);

	return length <= name_room && memcmp(name, prefix, length) == 0;
}

/* name_room: as far as the names go; the last of them ends there. */
static const char *
allocator_of(const char *name, uint64_t name_room)
{
	static const struct vmt_allocator_prefix known[] = VMT_ALLOCATOR_PREFIXES;

	for (uint32_t i = 0; known[i].symbol; i++)
		if (begins_with(name, name_room, known[i].symbol))
			return known[i].allocator;
	return NULL;
}

static struct vmt_allocator_range *
ranges_of(const struct work *work)
{
	return (void *)(work->base + sizeof(struct vmt_allocator_code));
}

/* One range with the last, where it goes on behind it. */
static void
add_range(struct work *work, uint64_t low, uint64_t high)
{
	struct vmt_allocator_range *last = work->count ? &ranges_of(work)[work->count - 1] : NULL;

	if (last && low >= last->low && low <= last->high + MOST_GAP_BYTES) {
		if (high > last->high)
			last->high = high;
		return;
	}
	if (work->count < VMT_ALLOCATOR_RANGES)
		ranges_of(work)[work->count++] = (struct vmt_allocator_range){low, high};
}

static void
search(struct work *work)
{
	const Elf64_Sym *symbols = (const void *)(work->base + work->symbols);
	const char *names = (const char *)(work->base + work->names);

	for (uint64_t i = 0; i < work->symbol_bytes / sizeof(*symbols); i++) {
		const Elf64_Sym *symbol = &symbols[i];
		const char *allocator;

		if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_size == 0 ||
		    symbol->st_size > UINT64_MAX - symbol->st_value ||
		    symbol->st_name >= work->name_bytes)
			continue;
		allocator =
		    allocator_of(names + symbol->st_name, work->name_bytes - symbol->st_name);
		if (!allocator || (work->allocator &&
				   !begins_with(allocator, strlen(allocator) + 1, work->allocator)))
			continue;
		work->allocator = allocator;
		add_range(work, symbol->st_value, symbol->st_value + symbol->st_size);
	}
}

static int
append(const struct vmt_allocator_scan_job *job, const struct work *work, struct vmt_writer *writer)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_ALLOCATOR};
	struct vmt_allocator_code head = {.count = work->count};

	memcpy(head.name, work->allocator, strlen(work->allocator));
	memcpy(work->base, &head, sizeof(head));
	chunk.time_min = chunk.time_max = vmt_trace_clock_now(job->clock);
	return vmt_writer_append(writer, &chunk, work->base,
				 sizeof(head) + work->count * sizeof(struct vmt_allocator_range));
}

int
vmt_allocator_scan_take(const struct vmt_allocator_scan_job *job, struct vmt_writer *writer)
{
	struct work work = {.base = NULL};
	int result = read_tables(job, &work);

	if (result == 0) {
		search(&work);
		result = work.count ? append(job, &work, writer) : -ENOENT;
	}
	if (work.base)
		vmt_sys_munmap(work.base, work.bytes);
	return result;
}
