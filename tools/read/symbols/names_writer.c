#include "tools/read/symbols/names_writer.h"

#include "format/varint.h"
#include "tools/hash_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A text of the payload in hand. */
struct text {
	UT_hash_handle hh;
	uint32_t number; /* from 1 on */
	char bytes[];
};

struct bytes {
	unsigned char *at;
	size_t used;
	size_t room;
};

struct address {
	uint64_t address;
	size_t first; /* of the writer's frames */
	size_t count;
};

struct member {
	const char *variable;
	const char *path;
	struct vmt_symbol_place place;
	bool found;
};

struct vmt_names_writer {
	int (*take)(void *context, const void *payload, size_t length);
	void *context;
	/* of the payload in hand */
	struct text *texts;
	struct bytes text_bytes;
	struct bytes module_bytes;
	uint64_t taken_bytes; /* of all payloads before */
	/* of all modules so far, as a reader bounds them */
	size_t all_modules;
	size_t all_addresses;
	size_t all_frames;
	size_t all_members;
	/* of the module in hand: what was visited, until its end */
	bool has_module;
	struct vmt_module module;
	bool has_debug;
	const char *trouble;
	struct address *addresses;
	size_t address_count;
	size_t address_room;
	struct vmt_symbol *frames;
	size_t frame_count;
	size_t frame_room;
	struct member *members;
	size_t member_count;
	size_t member_room;
};

struct vmt_names_writer *
vmt_names_writer_new(int (*take)(void *context, const void *payload, size_t length), void *context)
{
	struct vmt_names_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->take = take;
	writer->context = context;
	return writer;
}

static void
free_texts(struct vmt_names_writer *writer)
{
	VMT_HASH_TABLE_FREE(struct text, writer->texts, free);
	writer->texts = NULL;
}

void
vmt_names_writer_free(struct vmt_names_writer *writer)
{
	if (!writer)
		return;
	free_texts(writer);
	free(writer->text_bytes.at);
	free(writer->module_bytes.at);
	free(writer->addresses);
	free(writer->frames);
	free(writer->members);
	free(writer);
}

/* Room for one more item, or NULL. */
static void *
grown(void *items, size_t count, size_t *room, size_t item_bytes)
{
	size_t larger = *room ? *room + *room / 2 : 64;
	void *moved;

	if (count < *room)
		return items;
	moved = reallocarray(items, larger, item_bytes);
	if (moved)
		*room = larger;
	return moved;
}

static int
put_bytes(struct bytes *bytes, const void *from, size_t length)
{
	size_t room = bytes->room ? bytes->room : 4096;
	unsigned char *moved;

	while (room - bytes->used < length)
		room *= 2;
	if (room > bytes->room) {
		moved = realloc(bytes->at, room);
		if (!moved)
			return -ENOMEM;
		bytes->at = moved;
		bytes->room = room;
	}
	if (length)
		memcpy(bytes->at + bytes->used, from, length);
	bytes->used += length;
	return 0;
}

static int
put(struct bytes *bytes, uint64_t value)
{
	unsigned char number[VMT_VARINT_MAX_BYTES];

	return put_bytes(bytes, number, (size_t)(vmt_varint_put(number, value) - number));
}

static int
put_byte(struct bytes *bytes, unsigned value)
{
	unsigned char byte = (unsigned char)value;

	return put_bytes(bytes, &byte, 1);
}

/* Its number, which is new where the text is; 0: no memory. */
static uint32_t
number_of(struct vmt_names_writer *writer, const char *bytes)
{
	size_t length = strnlen(bytes, VMT_PACKED_NAMES_TEXT_BYTES - 1);
	struct text *text;

	HASH_FIND(hh, writer->texts, bytes, length, text);
	if (text)
		return text->number;
	text = calloc(1, sizeof(*text) + length + 1);
	if (!text)
		return 0;
	memcpy(text->bytes, bytes, length);
	text->number = (uint32_t)HASH_COUNT(writer->texts) + 1;
	HASH_ADD_KEYPTR(hh, writer->texts, text->bytes, length, text);
	if (text->hh.tbl && put(&writer->text_bytes, length) == 0 &&
	    put_bytes(&writer->text_bytes, bytes, length) == 0)
		return text->number;
	if (!text->hh.tbl)
		free(text);
	return 0;
}

static int
put_text(struct vmt_names_writer *writer, const char *text)
{
	uint32_t number = text ? number_of(writer, text) : 0;

	return text && !number ? -ENOMEM : put(&writer->module_bytes, number);
}

/* The payload in hand, to whoever takes it. */
static int
hand_out(struct vmt_names_writer *writer)
{
	struct bytes whole = {NULL, 0, 0};
	int result;

	if (writer->module_bytes.used == 0)
		return 0;
	result = put(&whole, HASH_COUNT(writer->texts));
	if (!result)
		result = put_bytes(&whole, writer->text_bytes.at, writer->text_bytes.used);
	if (!result)
		result = put_bytes(&whole, writer->module_bytes.at, writer->module_bytes.used);
	writer->taken_bytes += whole.used;
	if (!result && writer->taken_bytes > VMT_PACKED_NAMES_MAX_BYTES)
		result = -E2BIG;
	if (!result)
		result = writer->take(writer->context, whole.at, whole.used);
	free(whole.at);
	free_texts(writer);
	writer->text_bytes.used = writer->module_bytes.used = 0;
	return result;
}

static int
put_head(struct vmt_names_writer *writer)
{
	const struct vmt_module *module = &writer->module;
	struct bytes *bytes = &writer->module_bytes;
	int result = put(bytes, module->build_id_bytes);

	if (!result)
		result = put_bytes(bytes, module->build_id, module->build_id_bytes);
	if (!result)
		result = put(bytes, module->path_bytes);
	if (!result)
		result = put_bytes(bytes, module->path, module->path_bytes);
	if (!result)
		result = put_byte(bytes, writer->has_debug ? VMT_PACKED_NAMES_HAS_DEBUG : 0);
	return result ? result : put_text(writer, writer->trouble);
}

static int
put_frame(struct vmt_names_writer *writer, const struct vmt_symbol *frame)
{
	int result = put_text(writer, frame->function);

	if (!result)
		result = put_text(writer, frame->file);
	if (!result)
		result = put(&writer->module_bytes, frame->line);
	return result ? result
		      : put_byte(&writer->module_bytes,
				 (frame->inlined ? VMT_PACKED_NAMES_INLINED : 0) |
				     (frame->is_go ? VMT_PACKED_NAMES_GO : 0));
}

static int
put_address(struct vmt_names_writer *writer, const struct address *address, uint64_t before)
{
	int result = put(&writer->module_bytes, address->address - before);

	if (!result)
		result = put_byte(&writer->module_bytes, (unsigned)address->count);
	for (size_t i = 0; i < address->count && !result; i++)
		result = put_frame(writer, &writer->frames[address->first + i]);
	return result;
}

static int
put_member(struct vmt_names_writer *writer, const struct member *member)
{
	int result = put_text(writer, member->variable);

	if (!result)
		result = put_text(writer, member->path);
	if (!result)
		result = put_byte(&writer->module_bytes, member->found);
	if (!result)
		result = put(&writer->module_bytes, member->place.offset);
	return result ? result : put(&writer->module_bytes, member->place.bytes);
}

/* How many of the addresses from `first` on go into one payload: texts of theirs may be new. */
static size_t
portion(const struct vmt_names_writer *writer, size_t first)
{
	size_t used = writer->module_bytes.used + writer->text_bytes.used;
	size_t at = first;

	for (; at < writer->address_count; at++) {
		const struct address *address = &writer->addresses[at];

		used += VMT_VARINT_MAX_BYTES + 1 +
			address->count * (size_t)(3 * VMT_VARINT_MAX_BYTES + 1);
		for (size_t i = 0; i < address->count; i++) {
			const struct vmt_symbol *frame = &writer->frames[address->first + i];

			/* About: most stand there already. */
			used += (frame->function ? strlen(frame->function) / 4 : 0) +
				(frame->file ? strlen(frame->file) / 16 : 0);
		}
		if (used > VMT_NAMES_WRITER_PAYLOAD_BYTES && at > first)
			break;
	}
	return at - first;
}

/* One payload's part of the module in hand: addresses, and with the last of them the members. */
static int
put_part(struct vmt_names_writer *writer, size_t first, size_t count)
{
	bool is_last = first + count == writer->address_count;
	size_t members = is_last ? writer->member_count : 0;
	int result = put_head(writer);

	if (!result)
		result = put(&writer->module_bytes, count);
	for (size_t i = first; i < first + count && !result; i++)
		result = put_address(writer, &writer->addresses[i],
				     i > first ? writer->addresses[i - 1].address : 0);
	if (!result)
		result = put(&writer->module_bytes, members);
	for (size_t i = 0; i < members && !result; i++)
		result = put_member(writer, &writer->members[i]);
	return result;
}

static int
compare_addresses(const void *left, const void *right)
{
	const struct address *a = left;
	const struct address *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

static int
end_module(struct vmt_names_writer *writer)
{
	size_t done = 0;
	int result = 0;

	if (!writer->has_module)
		return 0;
	if (writer->address_count)
		qsort(writer->addresses, writer->address_count, sizeof(*writer->addresses),
		      compare_addresses);
	do {
		size_t count = portion(writer, done);

		result = put_part(writer, done, count);
		done += count;
		if (!result && writer->module_bytes.used + writer->text_bytes.used >
				   VMT_NAMES_WRITER_PAYLOAD_BYTES / 2)
			result = hand_out(writer);
	} while (!result && done < writer->address_count);
	writer->has_module = false;
	return result;
}

static int
begin_module(void *context, const struct vmt_module *module, bool has_debug, const char *trouble)
{
	struct vmt_names_writer *writer = context;
	int result = end_module(writer);

	if (!result && ++writer->all_modules > VMT_PACKED_NAMES_MAX_MODULES)
		result = -E2BIG;
	writer->has_module = true;
	writer->module = *module;
	writer->has_debug = has_debug;
	writer->trouble = trouble;
	writer->address_count = writer->frame_count = writer->member_count = 0;
	return result;
}

static int
take_address(void *context, uint64_t address, const struct vmt_symbol *frames, size_t count)
{
	struct vmt_names_writer *writer = context;
	struct address *addresses = grown(writer->addresses, writer->address_count,
					  &writer->address_room, sizeof(*addresses));

	if (!addresses)
		return -ENOMEM;
	writer->addresses = addresses;
	writer->all_frames += count;
	if (++writer->all_addresses > VMT_PACKED_NAMES_MAX_ADDRESSES ||
	    writer->all_frames > VMT_PACKED_NAMES_MAX_FRAMES)
		return -E2BIG;
	addresses[writer->address_count++] =
	    (struct address){.address = address, .first = writer->frame_count, .count = count};
	for (size_t i = 0; i < count; i++) {
		struct vmt_symbol *kept =
		    grown(writer->frames, writer->frame_count, &writer->frame_room, sizeof(*kept));

		if (!kept)
			return -ENOMEM;
		writer->frames = kept;
		kept[writer->frame_count++] = frames[i];
	}
	return 0;
}

static int
take_member(void *context, const char *variable, const char *path,
	    const struct vmt_symbol_place *place)
{
	struct vmt_names_writer *writer = context;
	struct member *members =
	    grown(writer->members, writer->member_count, &writer->member_room, sizeof(*members));

	if (!members)
		return -ENOMEM;
	writer->members = members;
	if (++writer->all_members > VMT_PACKED_NAMES_MAX_MEMBERS)
		return -E2BIG;
	members[writer->member_count++] = (struct member){
	    variable, path, place ? *place : (struct vmt_symbol_place){0, 0}, place != NULL};
	return 0;
}

static int
finish(void *context)
{
	struct vmt_names_writer *writer = context;
	int result = end_module(writer);

	return result ? result : hand_out(writer);
}

struct vmt_names_visitor
vmt_names_writer_visitor(struct vmt_names_writer *writer)
{
	return (struct vmt_names_visitor){begin_module, take_address, take_member, finish, writer};
}
