#include "inject/code_map.h"

#include "base/assert.h"
#include "unwind/cfi_cursor.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define PROGRAM_HEADERS 64u
#define CIE_READ_BYTES 128u /* of what stands before its instructions */
#define PC_RELATIVE_4 0x1bu /* DW_EH_PE_pcrel | DW_EH_PE_sdata4 */

/* -- segments ------------------------------------------------------------------------------------
 * */

struct headers {
	Elf64_Ehdr file;
	Elf64_Phdr segments[PROGRAM_HEADERS];
};

static int
read_headers(struct headers *headers, uint64_t address, vmt_code_map_reader *read, void *context)
{
	int error = read(context, address, &headers->file, sizeof(headers->file));

	if (error != 0)
		return error;
	if (memcmp(headers->file.e_ident, ELFMAG, SELFMAG) != 0 ||
	    headers->file.e_ident[EI_CLASS] != ELFCLASS64 ||
	    headers->file.e_phentsize != sizeof(Elf64_Phdr) ||
	    headers->file.e_phnum > PROGRAM_HEADERS)
		return -ENOEXEC;
	return read(context, address + headers->file.e_phoff, headers->segments,
		    headers->file.e_phnum * sizeof(Elf64_Phdr));
}

/* The segment that holds the file's beginning tells how far the file was moved. */
static bool
find_bias(struct vmt_code_map *map, const struct headers *headers, uint64_t address)
{
	for (uint32_t i = 0; i < headers->file.e_phnum; i++) {
		const Elf64_Phdr *segment = &headers->segments[i];

		if (segment->p_type == PT_LOAD && segment->p_offset == 0) {
			map->bias = address - segment->p_vaddr;
			return true;
		}
	}
	return false;
}

int
vmt_code_map_add_segment(struct vmt_code_map *map, const struct vmt_code_segment *segment)
{
	const struct vmt_code_segment *last;

	if (map->segments_count == VMT_CODE_MAP_SEGMENTS)
		return -E2BIG;
	if (segment->address + segment->length < segment->address)
		return -ENOEXEC;
	if (map->segments_count > 0) {
		last = &map->segments[map->segments_count - 1];
		if (segment->address < last->address + last->length)
			return -ENOEXEC;
	}
	map->segments[map->segments_count++] = *segment;
	if (map->segments_count == 1)
		map->low = segment->address;
	map->high = segment->address + segment->length;
	return 0;
}

static int
describe_segments(struct vmt_code_map *map, const struct headers *headers, uint64_t *bytes)
{
	*bytes = 0;
	for (uint32_t i = 0; i < headers->file.e_phnum; i++) {
		const Elf64_Phdr *from = &headers->segments[i];
		struct vmt_code_segment segment = {
		    .address = from->p_vaddr + map->bias,
		    .length = from->p_filesz,
		    .is_code = (from->p_flags & PF_X) != 0,
		};
		int error;

		if (from->p_type != PT_LOAD || from->p_filesz == 0 || (from->p_flags & PF_R) == 0)
			continue;
		if (segment.length > VMT_CODE_MAP_MAX_BYTES - *bytes)
			return -EFBIG;
		error = vmt_code_map_add_segment(map, &segment);
		if (error != 0)
			return error;
		if (from->p_memsz == from->p_filesz)
			map->whole |= UINT32_C(1) << (map->segments_count - 1);
		*bytes += segment.length;
	}
	return *bytes == 0 ? -ENOEXEC : 0;
}

static int
read_segments(struct vmt_code_map *map, uint64_t bytes, vmt_code_map_reader *read, void *context)
{
	uint64_t at = 0;

	if (!vmt_buffer_reserve(&map->bytes, bytes))
		return -ENOMEM;
	for (uint32_t i = 0; i < map->segments_count; i++) {
		struct vmt_code_segment *segment = &map->segments[i];
		int error = read(context, segment->address, map->bytes.bytes + at, segment->length);

		if (error != 0)
			return error;
		segment->bytes = map->bytes.bytes + at;
		at += segment->length;
	}
	vmt_assert(at == bytes);
	return 0;
}

/* Those of the first header that names a table: one program has one. */
static int
add_found_frames(struct vmt_code_map *map, const struct headers *headers)
{
	for (uint32_t i = 0; i < headers->file.e_phnum; i++) {
		const Elf64_Phdr *segment = &headers->segments[i];
		uint64_t address = segment->p_vaddr + map->bias;
		size_t room = 0;
		const uint8_t *bytes = segment->p_type == PT_GNU_EH_FRAME
					   ? vmt_code_map_bytes(map, address, &room)
					   : NULL;
		int32_t distance;

		/* LSB 5.0 Core, 10.6.2: version 1, the table's address, relative to its place. */
		if (!bytes || room < 8 || bytes[0] != 1 || bytes[1] != PC_RELATIVE_4)
			continue;
		memcpy(&distance, bytes + 4, sizeof(distance));
		address += 4 + (uint64_t)(int64_t)distance;
		if (vmt_code_map_bytes(map, address, &room))
			return vmt_code_map_add_frames(map, address, room);
	}
	return 0;
}

int
vmt_code_map_open(struct vmt_code_map *map, uint64_t header, vmt_code_map_reader *read,
		  void *context)
{
	struct headers headers;
	uint64_t bytes;
	int error = read_headers(&headers, header, read, context);

	*map = (struct vmt_code_map){0};
	if (error == 0 && headers.file.e_machine != EM_X86_64)
		error = -ENOEXEC;
	if (error == 0 && !find_bias(map, &headers, header))
		error = -ENOEXEC;
	if (error == 0)
		error = describe_segments(map, &headers, &bytes);
	if (error == 0)
		error = read_segments(map, bytes, read, context);
	if (error == 0)
		error = add_found_frames(map, &headers);
	if (error != 0)
		vmt_code_map_close(map);
	return error;
}

struct file_bytes {
	const uint8_t *bytes;
	size_t length;
};

/* For read_headers: an address is an offset. */
static int
read_file(void *context, uint64_t address, void *to, size_t bytes)
{
	const struct file_bytes *file = context;

	if (address > file->length || bytes > file->length - address)
		return -ENOEXEC;
	memcpy(to, file->bytes + address, bytes);
	return 0;
}

/* In the order in which they were described. */
static int
point_into_file(struct vmt_code_map *map, const struct headers *headers,
		const struct file_bytes *file)
{
	for (uint32_t i = 0; i < headers->file.e_phnum; i++) {
		const Elf64_Phdr *from = &headers->segments[i];
		uint32_t at = 0;

		if (from->p_type != PT_LOAD)
			continue;
		while (at < map->segments_count &&
		       map->segments[at].address != from->p_vaddr + map->bias)
			at++;
		if (at == map->segments_count)
			continue;
		if (from->p_offset > file->length ||
		    map->segments[at].length > file->length - from->p_offset)
			return -ENOEXEC;
		map->segments[at].bytes = file->bytes + from->p_offset;
	}
	return 0;
}

int
vmt_code_map_open_file(struct vmt_code_map *map, const uint8_t *bytes, size_t length, uint64_t bias)
{
	struct file_bytes file = {bytes, length};
	struct headers headers;
	uint64_t all_bytes;
	int error = read_headers(&headers, 0, read_file, &file);

	*map = (struct vmt_code_map){.bias = bias};
	if (error == 0 && headers.file.e_machine != EM_X86_64)
		error = -ENOEXEC;
	if (error == 0)
		error = describe_segments(map, &headers, &all_bytes);
	if (error == 0)
		error = point_into_file(map, &headers, &file);
	if (error == 0)
		error = add_found_frames(map, &headers);
	if (error != 0)
		vmt_code_map_close(map);
	return error;
}

const uint8_t *
vmt_code_map_bytes(const struct vmt_code_map *map, uint64_t address, size_t *bytes)
{
	for (uint32_t i = 0; i < map->segments_count; i++) {
		const struct vmt_code_segment *segment = &map->segments[i];

		if (address - segment->address < segment->length) {
			*bytes = segment->length - (address - segment->address);
			return segment->bytes + (address - segment->address);
		}
	}
	return NULL;
}

static const struct vmt_code_segment *
code_around(const struct vmt_code_map *map, uint64_t address)
{
	for (uint32_t i = 0; i < map->segments_count; i++) {
		const struct vmt_code_segment *segment = &map->segments[i];

		if (segment->is_code && address - segment->address < segment->length)
			return segment;
	}
	return NULL;
}

/* -- functions -----------------------------------------------------------------------------------
 * */

int
vmt_code_map_add_function(struct vmt_code_map *map, uint64_t start, uint64_t end)
{
	const struct vmt_code_segment *segment = code_around(map, start);
	struct vmt_code_function *functions;
	size_t count = map->functions_count;

	if (!segment || end <= start || end - segment->address > segment->length)
		return 0;
	if (count == VMT_CODE_MAP_MAX_FUNCTIONS)
		return -E2BIG;
	if (!vmt_buffer_reserve(&map->functions_buffer, (count + 1) * sizeof(*functions)))
		return -ENOMEM;
	functions = (struct vmt_code_function *)(void *)map->functions_buffer.bytes;
	functions[count] = (struct vmt_code_function){start, end};
	map->functions = functions;
	map->functions_count = count + 1;
	return 0;
}

/* augmentation: ends with a NUL. */
static bool
is_of_signals(const char *augmentation)
{
	while (*augmentation != '\0' && *augmentation != 'S')
		augmentation++;
	return *augmentation == 'S';
}

/* Whether a CIE says that its functions' addresses are relative and have 4 bytes, and nothing that
 * changes where they stand (LSB 5.0 Core, 10.6.1). `cie` is behind its id. Frames of signals (S)
 * are left out: theirs begin a byte before the code, as unwinders look a byte back. */
static bool
has_relative_addresses(struct vmt_cfi_cursor cie)
{
	const char *augmentation;
	uint8_t version = (uint8_t)vmt_cfi_cursor_take(&cie, 1);

	augmentation = (const char *)cie.at;
	while (vmt_cfi_cursor_more(&cie) && vmt_cfi_cursor_take(&cie, 1) != 0)
		;
	vmt_cfi_cursor_take_uleb(&cie);
	vmt_cfi_cursor_take_sleb(&cie);
	if (version == 1)
		vmt_cfi_cursor_skip(&cie, 1);
	else
		vmt_cfi_cursor_take_uleb(&cie);
	if (cie.failed || *augmentation != 'z' || is_of_signals(augmentation))
		return false;
	vmt_cfi_cursor_take_uleb(&cie);
	for (augmentation++; *augmentation != '\0' && !cie.failed; augmentation++) {
		uint8_t format;

		if (*augmentation == 'R')
			return vmt_cfi_cursor_take(&cie, 1) == PC_RELATIVE_4;
		if (*augmentation == 'L' || *augmentation == 'P') {
			format = (uint8_t)vmt_cfi_cursor_take(&cie, 1);
			if (*augmentation == 'P')
				vmt_cfi_cursor_take_value(&cie, format & 0x0f);
		}
	}
	return false;
}

/* A table of frames while it is read: copies at `bytes`, which lie at `address` in the process. */
struct frames {
	const uint8_t *bytes;
	uint64_t address;
	uint64_t length;
	uint64_t cie; /* the last one looked at */
	bool is_cie_relative;
};

static bool
cie_is_relative(struct frames *frames, uint64_t cie)
{
	struct vmt_cfi_cursor cursor = {frames->bytes + cie, frames->bytes + frames->length, false};
	uint64_t length;

	if (cie == frames->cie)
		return frames->is_cie_relative;
	frames->cie = cie;
	length = vmt_cfi_cursor_take(&cursor, 4);
	frames->is_cie_relative = false;
	if (cursor.failed || length > (uint64_t)(cursor.end - cursor.at))
		return false;
	cursor.end = cursor.at + (length < CIE_READ_BYTES ? length : CIE_READ_BYTES);
	if (vmt_cfi_cursor_take(&cursor, 4) == 0)
		frames->is_cie_relative = has_relative_addresses(cursor);
	return frames->is_cie_relative;
}

/* The record whose id lies at `id`, an offset in the table. */
static int
add_frame(struct vmt_code_map *map, struct frames *frames, uint64_t id, uint64_t length)
{
	uint32_t cie_distance;
	int32_t distance;
	uint32_t bytes;
	uint64_t start;

	memcpy(&cie_distance, frames->bytes + id, sizeof(cie_distance));
	if (cie_distance == 0 || cie_distance > id || length < 12 ||
	    !cie_is_relative(frames, id - cie_distance))
		return 0;
	memcpy(&distance, frames->bytes + id + 4, sizeof(distance));
	memcpy(&bytes, frames->bytes + id + 8, sizeof(bytes));
	start = frames->address + id + 4 + (uint64_t)(int64_t)distance;
	return vmt_code_map_add_function(map, start, start + bytes);
}

int
vmt_code_map_add_frames(struct vmt_code_map *map, uint64_t address, uint64_t bytes)
{
	struct frames frames = {.address = address, .cie = UINT64_MAX};
	size_t room;
	uint64_t at = 0;

	frames.bytes = vmt_code_map_bytes(map, address, &room);
	if (!frames.bytes)
		return -EINVAL;
	frames.length = bytes < room ? bytes : room;
	map->has_frames = true;
	while (frames.length - at >= 8) {
		uint32_t length;
		int error;

		memcpy(&length, frames.bytes + at, sizeof(length));
		/* The end; or a record of 64 bits, which no compiler writes here. */
		if (length < 4 || length > frames.length - at - 4)
			return 0;
		error = add_frame(map, &frames, at + 4, length);
		if (error != 0)
			return error;
		at += 4 + (uint64_t)length;
	}
	return 0;
}

void
vmt_code_map_settle(struct vmt_code_map *map)
{
	map->functions_count = vmt_code_functions_settle(map->functions, map->functions_count);
}

bool
vmt_code_map_stretch(const struct vmt_code_map *map, uint64_t address,
		     struct vmt_code_stretch *stretch)
{
	const struct vmt_code_segment *segment = code_around(map, address);
	size_t low = 0;
	size_t high = map->functions_count;

	if (!segment)
		return false;
	while (low < high) { /* the first that starts behind it */
		size_t middle = low + (high - low) / 2;

		if (map->functions[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	*stretch = (struct vmt_code_stretch){.start = segment->address,
					     .end = segment->address + segment->length};
	if (low < map->functions_count && map->functions[low].start < stretch->end)
		stretch->end = map->functions[low].start;
	if (low == 0)
		return true;
	if (map->functions[low - 1].end > address) {
		*stretch = (struct vmt_code_stretch){map->functions[low - 1].start,
						     map->functions[low - 1].end, true};
	} else if (map->functions[low - 1].end > stretch->start) {
		stretch->start = map->functions[low - 1].end;
	}
	return true;
}

void
vmt_code_map_close(struct vmt_code_map *map)
{
	vmt_buffer_free(&map->bytes);
	vmt_buffer_free(&map->functions_buffer);
	*map = (struct vmt_code_map){0};
}
