#include "inject/entry_hook.h"

#include "base/assert.h"
#include "inject/instruction_length.h"
#include "inject/near_branches.h"

#include <errno.h>
#include <string.h>

#define JUMP_BYTES 5u

static const uint8_t landing[] = {0xf3, 0x0f, 0x1e, 0xfa}; /* endbr64 */

/* -- finding ----------------------------------------------------------------------------------- */

static bool
is_condition(const struct vmt_instruction *instruction)
{
	return instruction->flow == VMT_FLOW_BRANCH &&
	       ((instruction->map == VMT_MAP_ONE_BYTE && (instruction->opcode & 0xf0) == 0x70) ||
		(instruction->map == VMT_MAP_0F && (instruction->opcode & 0xf0) == 0x80));
}

/* A call would return into the stub, where no table of frames knows the way on. */
static bool
can_move(const struct vmt_instruction *instruction)
{
	if (instruction->rip_displacement_at != 0 && instruction->has_address_prefix)
		return false;
	switch (instruction->flow) {
	case VMT_FLOW_ON:
	case VMT_FLOW_JUMP:
	case VMT_FLOW_JUMP_INDIRECT:
	case VMT_FLOW_RETURN:
		return true;
	default:
		return is_condition(instruction);
	}
}

/* As few whole instructions as a jump needs. */
static uint8_t
choose_cut(const uint8_t *bytes, size_t room, uint8_t *cut_bytes)
{
	size_t at = 0;
	struct vmt_instruction instruction;

	do {
		size_t length = vmt_instruction_length_read(bytes + at, room - at, &instruction);

		if (length == 0)
			return at < room ? VMT_SITE_UNKNOWN_CODE : VMT_SITE_NO_ROOM;
		if (!can_move(&instruction))
			return VMT_SITE_CANT_MOVE;
		at += length;
		if (at < JUMP_BYTES && !vmt_instruction_goes_on(&instruction))
			return VMT_SITE_NO_ROOM;
	} while (at < JUMP_BYTES);
	*cut_bytes = (uint8_t)at;
	return VMT_SITE_CUT;
}

static void
judge(const struct vmt_code_map *map, struct vmt_entry_site *site, uint64_t next)
{
	struct vmt_code_stretch stretch;
	const uint8_t *bytes;
	size_t room;

	site->verdict = VMT_SITE_UNKNOWN_CODE;
	if (!vmt_code_map_stretch(map, site->function, &stretch))
		return;
	bytes = vmt_code_map_bytes(map, site->function, &room);
	if (stretch.end > next)
		stretch.end = next;
	room = stretch.end - site->function;
	site->address = site->function;
	if (room > sizeof(landing) && memcmp(bytes, landing, sizeof(landing)) == 0) {
		site->address += sizeof(landing);
		bytes += sizeof(landing);
		room -= sizeof(landing);
	}
	site->verdict = choose_cut(bytes, room, &site->cut_bytes);
	if (site->verdict == VMT_SITE_CUT)
		memcpy(site->original, bytes, site->cut_bytes);
}

/* The bytes behind a cut's first one; of none where there is no cut. */
static struct vmt_code_watch
watch_of(const struct vmt_entry_site *site)
{
	uint64_t low = site->verdict == VMT_SITE_CUT ? site->address : site->function;
	uint64_t bytes = site->verdict == VMT_SITE_CUT ? site->cut_bytes : 1;

	return (struct vmt_code_watch){.low = low, .high = low + bytes - 1};
}

static void
refuse_jumped_into(const struct vmt_code_map *map, struct vmt_code_watch *watches,
		   struct vmt_entry_site *sites, size_t count)
{
	vmt_code_jumps_find(map, watches, count);
	for (size_t i = 0; i < count; i++)
		if (sites[i].verdict == VMT_SITE_CUT &&
		    !vmt_near_branches_note(map, watches, count, i))
			sites[i].verdict = VMT_SITE_UNKNOWN_CODE;
	for (size_t i = 0; i < count; i++)
		if (sites[i].verdict == VMT_SITE_CUT &&
		    (watches[i].last_hit != 0 || watches[i].is_high_hit))
			sites[i].verdict = VMT_SITE_JUMPED_INTO;
}

int
vmt_entry_hook_find(const struct vmt_code_map *map, const uint64_t *functions, size_t count,
		    struct vmt_entry_site *sites)
{
	struct vmt_buffer buffer = {0};
	struct vmt_code_watch *watches;

	for (size_t i = 1; i < count; i++)
		if (functions[i] <= functions[i - 1])
			return -EINVAL;
	if (!vmt_buffer_reserve(&buffer, (count + 1) * sizeof(*watches)))
		return -ENOMEM;
	watches = (struct vmt_code_watch *)(void *)buffer.bytes;
	for (size_t i = 0; i < count; i++) {
		sites[i] = (struct vmt_entry_site){.function = functions[i]};
		judge(map, &sites[i], i + 1 < count ? functions[i + 1] : UINT64_MAX);
		watches[i] = watch_of(&sites[i]);
	}
	refuse_jumped_into(map, watches, sites, count);
	vmt_buffer_free(&buffer);
	return 0;
}

/* -- making ------------------------------------------------------------------------------------ */

/* Machine code that is to run at an address of its own. */
struct writer {
	uint8_t *bytes;
	uint64_t address;
	size_t at;
	bool is_too_far;
};

static void
put(struct writer *writer, const void *bytes, size_t count)
{
	vmt_assert(writer->at + count <= VMT_ENTRY_HOOK_STUB_BYTES);
	memcpy(writer->bytes + writer->at, bytes, count);
	writer->at += count;
}

static void
put_distance(struct writer *writer, uint64_t to)
{
	int64_t distance = (int64_t)(to - (writer->address + writer->at + 4));
	int32_t near = (int32_t)distance;

	writer->is_too_far |= distance != near;
	put(writer, &near, sizeof(near));
}

static void
put_jump(struct writer *writer, uint64_t to)
{
	put(writer, (const uint8_t[]){0xe9}, 1);
	put_distance(writer, to);
}

/* from: where it stood. Branches get distances of 4 bytes, whatever they had. */
static void
put_moved(struct writer *writer, const struct vmt_instruction *instruction, const uint8_t *bytes,
	  uint64_t from)
{
	uint64_t next = from + instruction->length;
	uint64_t target = next + (uint64_t)(int64_t)instruction->distance;
	int32_t displacement;

	if (instruction->flow == VMT_FLOW_JUMP) {
		put_jump(writer, target);
	} else if (instruction->flow == VMT_FLOW_BRANCH) {
		put(writer, (const uint8_t[]){0x0f, 0x80 | (instruction->opcode & 0x0f)}, 2);
		put_distance(writer, target);
	} else if (instruction->rip_displacement_at != 0) {
		size_t behind = instruction->rip_displacement_at + sizeof(displacement);
		int64_t distance;

		memcpy(&displacement, bytes + instruction->rip_displacement_at,
		       sizeof(displacement));
		distance = displacement + (int64_t)(from - (writer->address + writer->at));
		displacement = (int32_t)distance;
		writer->is_too_far |= distance != displacement;
		put(writer, bytes, instruction->rip_displacement_at);
		put(writer, &displacement, sizeof(displacement));
		put(writer, bytes + behind, instruction->length - behind);
	} else {
		put(writer, bytes, instruction->length);
	}
}

/* The function as it was: what was cut, and what is behind it. */
static void
put_function(struct writer *writer, const struct vmt_entry_site *site, struct vmt_entry_hook *hook)
{
	struct vmt_instruction instruction = {0};
	size_t at = 0;

	while (at < site->cut_bytes) {
		size_t length = vmt_instruction_length_read(site->original + at,
							    site->cut_bytes - at, &instruction);

		vmt_assert(length > 0 && hook->moved < VMT_ENTRY_HOOK_MOVED);
		if (length == 0)
			return;
		hook->moved_from[hook->moved] = (uint8_t)at;
		hook->moved_to[hook->moved++] = (uint8_t)writer->at;
		put_moved(writer, &instruction, site->original + at, site->address + at);
		at += length;
	}
	if (vmt_instruction_goes_on(&instruction))
		put_jump(writer, site->address + site->cut_bytes);
}

static void
put_load(struct writer *writer, const uint8_t load[3], uint64_t address)
{
	put(writer, load, 3);
	put_distance(writer, address);
}

/* lea address(%rip),%rax; mov %rax,below(%rsp) */
static void
put_word(struct writer *writer, uint64_t address, int8_t below)
{
	put_load(writer, (const uint8_t[]){0x48, 0x8d, 0x05}, address);
	put(writer, (const uint8_t[]){0x48, 0x89, 0x44, 0x24, (uint8_t)below}, 5);
}

/* mov %rax,RAX(%rsp); the words; jmp *handler(%rip), with its address behind it, at a multiple of
 * its size. */
static void
put_way_to_handler(struct writer *writer, uint64_t function, uint64_t other, uint64_t handler)
{
	uint32_t distance;
	size_t jump;

	put(writer, (const uint8_t[]){0x48, 0x89, 0x44, 0x24, (uint8_t)VMT_ENTRY_HOOK_RAX}, 5);
	if (other != 0)
		put_word(writer, other, VMT_ENTRY_HOOK_OTHER);
	put_word(writer, function, VMT_ENTRY_HOOK_FUNCTION);
	put(writer, (const uint8_t[]){0xff, 0x25}, 2);
	jump = writer->at;
	put(writer, &(uint32_t){0}, sizeof(distance));
	while (writer->at % sizeof(handler) != 0)
		put(writer, (const uint8_t[]){0xcc}, 1);
	distance = (uint32_t)(writer->at - jump - sizeof(distance));
	memcpy(writer->bytes + jump, &distance, sizeof(distance));
	put(writer, &handler, sizeof(handler));
}

long
vmt_entry_hook_make(const struct vmt_entry_site *site, uint64_t stub_address, uint64_t handler,
		    uint64_t other, uint8_t *stub, struct vmt_entry_hook *hook)
{
	struct writer writer = {.bytes = stub, .address = stub_address};
	struct writer cut = {.bytes = hook->new_bytes, .address = site->address};

	vmt_assert(site->verdict == VMT_SITE_CUT && stub_address % sizeof(handler) == 0);
	*hook = (struct vmt_entry_hook){
	    .address = site->address, .function = stub_address, .length = site->cut_bytes};
	put_function(&writer, site, hook);
	while (writer.at % sizeof(handler) != 0)
		put(&writer, (const uint8_t[]){0xcc}, 1);
	hook->stub = stub_address + writer.at;
	put_way_to_handler(&writer, hook->function, other, handler);
	memcpy(hook->old_bytes, site->original, site->cut_bytes);
	memcpy(hook->new_bytes, site->original, site->cut_bytes);
	put_jump(&cut, hook->stub);
	return writer.is_too_far || cut.is_too_far ? -ERANGE : (long)writer.at;
}

uint64_t
vmt_entry_hook_into_stub(const struct vmt_entry_hook *hook, uint64_t address)
{
	for (uint8_t i = 1; i < hook->moved; i++)
		if (address == hook->address + hook->moved_from[i])
			return hook->function + hook->moved_to[i];
	return address;
}
