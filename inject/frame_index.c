#include "inject/frame_index.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define HEADER_BYTES 12u
#define ENTRY_BYTES 8u
#define CIE_READ_BYTES 128u /* of what stands before its instructions */
#define RELATIVE_4 0x1bu    /* DW_EH_PE_pcrel | DW_EH_PE_sdata4 */
#define ENTRIES_MAX 4000000u

struct entry {
	uint64_t start;
	uint64_t record;
};

static const Elf64_Ehdr *
header_of(const struct vmt_file *file)
{
	const Elf64_Ehdr *header = (const void *)file->bytes;

	if (file->length < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64)
		return NULL;
	return header;
}

static bool
has_index(const struct vmt_file *file)
{
	const Elf64_Ehdr *header = header_of(file);

	if (!header || header->e_phoff > file->length ||
	    header->e_phnum > (file->length - header->e_phoff) / sizeof(Elf64_Phdr))
		return true;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr segment;

		memcpy(&segment, file->bytes + header->e_phoff + i * sizeof(segment),
		       sizeof(segment));
		if (segment.p_type == PT_GNU_EH_FRAME)
			return true;
	}
	return false;
}

static bool
read_section(const struct vmt_file *file, const Elf64_Ehdr *header, unsigned number,
	     Elf64_Shdr *section)
{
	if (header->e_shoff > file->length || number >= header->e_shnum ||
	    header->e_shnum > (file->length - header->e_shoff) / sizeof(*section))
		return false;
	memcpy(section, file->bytes + header->e_shoff + number * sizeof(*section),
	       sizeof(*section));
	return true;
}

static bool
is_named(const struct vmt_file *file, const Elf64_Shdr *names, const Elf64_Shdr *section)
{
	static const char wanted[] = ".eh_frame";
	uint64_t at = names->sh_offset + section->sh_name;

	return at >= names->sh_offset && at < file->length && file->length - at >= sizeof(wanted) &&
	       memcmp(file->bytes + at, wanted, sizeof(wanted)) == 0;
}

static bool
find_frames(const struct vmt_file *file, Elf64_Shdr *found)
{
	const Elf64_Ehdr *header = header_of(file);
	Elf64_Shdr names;

	if (!header || !read_section(file, header, header->e_shstrndx, &names))
		return false;
	for (unsigned i = 0; i < header->e_shnum; i++) {
		if (read_section(file, header, i, found) && (found->sh_flags & SHF_ALLOC) &&
		    is_named(file, &names, found))
			return true;
	}
	return false;
}

static uint32_t
word_at(const uint8_t *bytes)
{
	uint32_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* Whether a CIE says that addresses are relative, of 4 bytes: "zR", or with more letters behind z.
 * What the letters before R stand for is one byte each (L), or not read (P: then R is not found).
 */
static bool
is_relative(const uint8_t *record, size_t room)
{
	const uint8_t *at = record + 9; /* length, id, version */
	const uint8_t *end = record + (room < CIE_READ_BYTES ? room : CIE_READ_BYTES);
	const uint8_t *letters = at;

	while (at < end && *at != 0)
		at++;
	if (at == end || letters[0] != 'z')
		return false;
	at++;
	for (int number = 0; number < 4; number++) { /* two factors, a register, a length */
		while (at < end && (*at & 0x80))
			at++;
		at++;
	}
	for (letters++; at < end && *letters != 0; letters++) {
		if (*letters == 'R')
			return *at == RELATIVE_4;
		if (*letters == 'P')
			at += 4;
		if (*letters != 'S' && *letters != 'B')
			at++;
	}
	return false;
}

static int
add(struct vmt_frame_index *index, uint64_t start, uint64_t record)
{
	struct entry entry = {start, record};

	if (index->count == ENTRIES_MAX ||
	    !vmt_buffer_reserve(&index->entries, (index->count + 1) * sizeof(entry)))
		return -ENOMEM;
	memcpy(index->entries.bytes + index->count++ * sizeof(entry), &entry, sizeof(entry));
	return 0;
}

/* Records follow one another: a length, then 0 for a CIE or how far it lies before this word. */
static int
take_records(struct vmt_frame_index *index, const uint8_t *bytes, size_t room)
{
	size_t at = 0;

	while (room - at >= 16) {
		uint32_t length = word_at(bytes + at);
		uint32_t back = word_at(bytes + at + 4);
		size_t next = at + 4 + length;
		int result = 0;

		if (length < 12 || length > room - at - 4)
			break;
		if (back != 0 && back <= at + 4 &&
		    is_relative(bytes + at + 4 - back, room - (at + 4 - back)))
			result = add(index,
				     index->frames_low + at + 8 +
					 (uint64_t)(int64_t)(int32_t)word_at(bytes + at + 8),
				     index->frames_low + at);
		if (result < 0)
			return result;
		at = next;
	}
	return 0;
}

static struct entry *
entries_of(const struct vmt_frame_index *index)
{
	return (void *)index->entries.bytes;
}

static void
sift_down(struct entry *entries, size_t at, size_t count)
{
	struct entry moved = entries[at];

	for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
		if (child + 1 < count && entries[child + 1].start > entries[child].start)
			child++;
		if (entries[child].start <= moved.start)
			break;
		entries[at] = entries[child];
		at = child;
	}
	entries[at] = moved;
}

/* A heap: no order of the file's makes it slow. */
static void
sort(struct entry *entries, size_t count)
{
	for (size_t at = count / 2; at-- > 0;)
		sift_down(entries, at, count);
	for (size_t end = count; end-- > 1;) {
		struct entry largest = entries[0];

		entries[0] = entries[end];
		entries[end] = largest;
		sift_down(entries, 0, end);
	}
}

int
vmt_frame_index_make(struct vmt_frame_index *index, const struct vmt_file *file,
		     const struct vmt_code_map *map)
{
	Elf64_Shdr section;
	const uint8_t *bytes;
	size_t room = 0;
	int result;

	*index = (struct vmt_frame_index){.count = 0};
	if (has_index(file) || !find_frames(file, &section))
		return 0;
	index->frames_low = section.sh_addr + map->bias;
	bytes = vmt_code_map_bytes(map, index->frames_low, &room);
	if (!bytes || section.sh_size > room)
		return 0;
	index->frames_high = index->frames_low + section.sh_size;
	result = take_records(index, bytes, section.sh_size);
	if (result == 0)
		sort(entries_of(index), index->count);
	return result;
}

bool
vmt_frame_index_is_low(const struct vmt_frame_index *index)
{
	return index->count == 0 || (index->frames_high <= INT32_MAX &&
				     entries_of(index)[index->count - 1].start <= INT32_MAX);
}

size_t
vmt_frame_index_bytes(const struct vmt_frame_index *index)
{
	return index->count ? HEADER_BYTES + index->count * ENTRY_BYTES : 0;
}

static void
put_distance(uint8_t *bytes, uint64_t from, uint64_t to)
{
	uint32_t distance = (uint32_t)(to - from);

	memcpy(bytes, &distance, sizeof(distance));
}

void
vmt_frame_index_write(const struct vmt_frame_index *index, uint64_t address, uint8_t *bytes)
{
	/* Version; then how the address of the tables, the count and the entries are written. */
	static const uint8_t relative[4] = {1, RELATIVE_4, 0x03, 0x3b};
	static const uint8_t absolute[4] = {1, 0x0b, 0x03, 0x0b};
	bool is_low = vmt_frame_index_is_low(index);
	uint32_t count = (uint32_t)index->count;

	memcpy(bytes, is_low ? absolute : relative, sizeof(relative));
	put_distance(bytes + 4, is_low ? 0 : address + 4, index->frames_low);
	address = is_low ? 0 : address;
	memcpy(bytes + 8, &count, sizeof(count));
	bytes += HEADER_BYTES;
	for (size_t i = 0; i < index->count; i++, bytes += ENTRY_BYTES) {
		put_distance(bytes, address, entries_of(index)[i].start);
		put_distance(bytes + 4, address, entries_of(index)[i].record);
	}
}

size_t
vmt_frame_index_memory_bytes(const struct vmt_frame_index *index)
{
	return index->count * sizeof(struct entry);
}

int
vmt_frame_index_copy(struct vmt_frame_index *to, const struct vmt_frame_index *from, uint64_t up)
{
	*to = (struct vmt_frame_index){.count = from->count};
	if (from->count == 0)
		return 0;
	if (!vmt_buffer_reserve(&to->entries, vmt_frame_index_memory_bytes(from)))
		return -ENOMEM;
	to->frames_low = from->frames_low + up;
	to->frames_high = from->frames_high + up;
	for (size_t i = 0; i < from->count; i++)
		entries_of(to)[i] =
		    (struct entry){entries_of(from)[i].start + up, entries_of(from)[i].record + up};
	return 0;
}

void
vmt_frame_index_close(struct vmt_frame_index *index)
{
	vmt_buffer_free(&index->entries);
}
