#include "inject/cut_search.h"

#include "format/raw_calls.h"
#include "inject/file_functions.h"
#include "inject/file_view.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define HIGHEST_NUMBER 1024u /* of a system call */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct vmt_wanted_calls wanted = {.numbers = vmt_raw_calls,
					       .count = COUNT(vmt_raw_calls)};

/* Of a program that may have threads already, and that is left again, nothing may stand in a stub
 * for long. */
static const struct vmt_wanted_calls wanted_at_start = {vmt_raw_calls,	 COUNT(vmt_raw_calls),
							vmt_birth_calls, COUNT(vmt_birth_calls),
							vmt_exec_calls,	 COUNT(vmt_exec_calls)};

static int
read_target(void *context, uint64_t address, void *to, size_t bytes)
{
	return vmt_target_read(context, address, to, bytes);
}

/* Headers stand right behind the ELF header, as linkers put them. */
static int
find_header(const struct vmt_target *target, uint64_t program_headers, uint64_t *address)
{
	Elf64_Ehdr header;
	int result;

	*address = program_headers - sizeof(header);
	result = vmt_target_read(target, *address, &header, sizeof(header));
	if (result < 0)
		return result;
	return memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_phoff == sizeof(header)
		   ? 0
		   : -ENOEXEC;
}

/* What the file can't tell is not missed. */
static int
add_file(struct vmt_program_cuts *cuts, const struct vmt_file *file)
{
	int result = vmt_file_functions_add(file, &cuts->map);

	if (result == 0)
		result = vmt_frame_index_make(&cuts->frames, file, &cuts->map);
	if (result == 0)
		vmt_heap_hooks_collect(&cuts->heap, file, cuts->map.bias);
	return result;
}

/* How far the file was moved whose header lies at this address in the process. */
static bool
find_bias(const struct vmt_file *file, uint64_t address, uint64_t *bias)
{
	Elf64_Ehdr header;

	if (file->length < sizeof(header))
		return false;
	memcpy(&header, file->bytes, sizeof(header));
	for (unsigned i = 0; i < header.e_phnum; i++) {
		uint64_t at = sizeof(header) + i * sizeof(Elf64_Phdr);
		Elf64_Phdr segment;

		if (header.e_phoff != sizeof(header) || at + sizeof(segment) > file->length)
			return false;
		memcpy(&segment, file->bytes + at, sizeof(segment));
		*bias = address - segment.p_vaddr;
		if (segment.p_type == PT_LOAD && segment.p_offset == 0)
			return true;
	}
	return false;
}

/* The number that a mov right before the system call brings into eax, if these bytes are one. */
static bool
reads_as_number(const struct vmt_code_map *map, const struct vmt_syscall_site *site,
		uint64_t *start, uint32_t *number)
{
	static const uint8_t wide[] = {0x48, 0xc7, 0xc0}; /* mov $n,%rax */
	size_t room = 0;
	const uint8_t *bytes = vmt_code_map_bytes(map, site->syscall - 7, &room);

	if (!bytes || room < 7)
		return false;
	memcpy(number, bytes + 3, sizeof(*number));
	*start = site->syscall - 7;
	if (memcmp(bytes, wide, sizeof(wide)) == 0)
		return true;
	*start = site->syscall - 5;
	return bytes[2] == 0xb8 && *number < HIGHEST_NUMBER; /* mov $n,%eax */
}

/* Where it is not certain where instructions begin, nothing is cut: a mov of a number that was read
 * as something else. */
static void
refuse_uncertain(struct vmt_program_cuts *cuts)
{
	struct vmt_syscall_site *sites = (void *)cuts->sites.bytes;

	for (size_t i = 0; i < cuts->sites_count; i++) {
		struct vmt_syscall_site *site = &sites[i];
		uint64_t start;
		uint32_t number;

		if (site->verdict == VMT_SITE_CUT &&
		    reads_as_number(&cuts->map, site, &start, &number) &&
		    (site->number != number || site->address > start))
			site->verdict = VMT_SITE_UNKNOWN_CODE;
	}
}

static bool
is_go(const struct vmt_program_cuts *cuts)
{
	const struct vmt_syscall_site *sites = (const void *)cuts->sites.bytes;

	for (size_t i = 0; i < cuts->sites_count; i++)
		if (sites[i].verdict == VMT_SITE_GO_FORM)
			return true;
	return false;
}

static bool
is_memory_call(const struct vmt_wanted_calls *calls, uint32_t number)
{
	return vmt_syscall_sites_birth(calls, number) == calls->births_count &&
	       vmt_syscall_sites_exec(calls, number) == calls->execs_count;
}

/* Of the calls that are no memory calls those stay that can be cut. Go's are made with too little
 * stack left for the recorder; its threads' stacks are known otherwise, and it executes by the one
 * function that makes any call (capture/go/go_patch.h). */
static void
choose_others(struct vmt_program_cuts *cuts)
{
	struct vmt_syscall_site *sites = (void *)cuts->sites.bytes;
	bool none = is_go(cuts);
	size_t kept = 0;

	for (size_t i = 0; i < cuts->sites_count; i++) {
		const struct vmt_syscall_site *site = &sites[i];
		bool stays = is_memory_call(cuts->wanted, site->number)
				 ? !none || site->number != VMT_ALTERNATE_STACK_CALL
				 : !none && site->verdict == VMT_SITE_CUT;

		if (stays)
			sites[kept++] = *site;
	}
	cuts->sites_count = kept;
}

/* A function of the allocator's keeps to its own bytes. */
static int
judge_heap(struct vmt_program_cuts *cuts)
{
	const struct vmt_syscall_site *sites = (const void *)cuts->sites.bytes;
	int result = vmt_heap_hooks_judge(&cuts->heap, &cuts->map);

	for (size_t i = 0; result == 0 && i < cuts->sites_count; i++)
		if (sites[i].verdict == VMT_SITE_CUT)
			vmt_heap_hooks_refuse_overlap(&cuts->heap, sites[i].address,
						      sites[i].syscall);
	return result;
}

static int
open_map(struct vmt_program_cuts *cuts, const struct vmt_cut_search *search,
	 const struct vmt_file *file)
{
	uint64_t header;
	uint64_t bias;
	int result = find_header(search->target, search->program_headers, &header);

	if (result < 0)
		return result;
	if (search->is_unrun && find_bias(file, header, &bias))
		return vmt_code_map_open_file(&cuts->map, file->bytes, file->length, bias);
	return vmt_code_map_open(&cuts->map, header, read_target,
				 (void *)(uintptr_t)search->target);
}

static int
find(struct vmt_program_cuts *cuts)
{
	int result;

	vmt_code_map_settle(&cuts->map);
	result = vmt_syscall_sites_find(&cuts->map, cuts->wanted, &cuts->sites, &cuts->sites_count);
	refuse_uncertain(cuts);
	choose_others(cuts);
	return result < 0 ? result : judge_heap(cuts);
}

/* But for its bounds. */
static void
forget_code(struct vmt_code_map *map)
{
	struct vmt_code_map bounds = *map;

	vmt_code_map_close(map);
	bounds.bytes = bounds.functions_buffer = (struct vmt_buffer){NULL, 0};
	bounds.functions = NULL;
	bounds.functions_count = 0;
	for (uint32_t i = 0; i < bounds.segments_count; i++)
		bounds.segments[i].bytes = NULL;
	*map = bounds;
}

int
vmt_cut_search_run(struct vmt_program_cuts *cuts, const struct vmt_cut_search *search)
{
	struct vmt_file file = vmt_file_view_open(search->file, VMT_CUT_SEARCH_FILE_BYTES);
	int result;

	*cuts = (struct vmt_program_cuts){
	    .wanted = search->is_unrun ? &wanted_at_start : &wanted,
	    .heap = {.owns_operators = search->owns_operators},
	};
	result = open_map(cuts, search, &file);
	if (result == 0 && file.length != 0)
		result = add_file(cuts, &file);
	if (result == 0)
		result = find(cuts);
	forget_code(&cuts->map);
	vmt_file_view_close(&file);
	return result;
}
