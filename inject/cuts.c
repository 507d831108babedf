#include "inject/cuts.h"

#include "base/assert.h"
#include "format/raw_calls.h"
#include "inject/instruction_length.h"

#include <errno.h>
#include <string.h>

#define ALIGNMENT 16u

/* Machine code that is to run at an address of its own. */
struct writer {
	uint8_t *bytes; /* of the stub's first byte */
	uint64_t address;
	size_t at;
	bool is_far; /* jumps to the text need a whole address */
	bool is_too_far;
};

static void
put(struct writer *writer, const void *bytes, size_t count)
{
	vmt_assert(writer->at + count <= VMT_CUTS_STUB_BYTES);
	memcpy(writer->bytes + writer->at, bytes, count);
	writer->at += count;
}

static void
put_byte(struct writer *writer, uint8_t byte)
{
	put(writer, &byte, 1);
}

static bool
fits(int64_t distance)
{
	return distance == (int32_t)distance;
}

/* The last 4 bytes of an instruction that end at the writer's place: a distance from there. */
static void
put_distance(struct writer *writer, uint64_t to)
{
	int64_t distance = (int64_t)(to - (writer->address + writer->at + 4));
	int32_t near = (int32_t)distance;

	writer->is_too_far |= !fits(distance);
	put(writer, &near, sizeof(near));
}

/* jmp *0(%rip), with the address behind it. */
static void
put_far_jump(struct writer *writer, uint64_t to)
{
	put(writer, (const uint8_t[]){0xff, 0x25, 0, 0, 0, 0}, 6);
	put(writer, &to, sizeof(to));
}

static void
put_jump(struct writer *writer, uint64_t to)
{
	if (writer->is_far) {
		put_far_jump(writer, to);
		return;
	}
	put_byte(writer, 0xe9);
	put_distance(writer, to);
}

/* lea distance(%rip),%register of an address below 2 GiB becomes mov $address,%register, which is
 * as long. False: it is another instruction, or the address is higher. */
static bool
make_absolute(uint8_t *bytes, size_t length, uint64_t address)
{
	static const uint8_t lea_bytes = 7;
	int32_t low = (int32_t)address;

	if (length != lea_bytes || (bytes[0] & 0xfb) != 0x48 || bytes[1] != 0x8d ||
	    (bytes[2] & 0xc7) != 0x05 || (uint64_t)(int64_t)low != address)
		return false;
	bytes[0] = bytes[0] & 4 ? 0x49 : 0x48;
	bytes[1] = 0xc7;
	bytes[2] = (uint8_t)(0xc0 | (bytes[2] >> 3 & 7));
	memcpy(bytes + 3, &low, sizeof(low));
	return true;
}

/* The cut's instructions. What is relative to the next one gets another distance, not length. */
static void
put_moved(struct writer *writer, const struct vmt_syscall_site *site)
{
	size_t at = 0;

	put(writer, site->original, site->cut_bytes);
	while (at < site->cut_bytes) {
		struct vmt_instruction instruction;
		size_t length = vmt_instruction_length_read(site->original + at,
							    site->cut_bytes - at, &instruction);
		uint8_t *place = writer->bytes + at + instruction.rip_displacement_at;
		int64_t distance;
		int32_t near;

		vmt_assert(length > 0);
		if (length == 0)
			break;
		at += length;
		if (instruction.rip_displacement_at == 0)
			continue;
		memcpy(&near, place, sizeof(near));
		if (writer->is_far && make_absolute(writer->bytes + at - length, length,
						    site->address + at + (uint64_t)(int64_t)near))
			continue;
		distance = near + (int64_t)(site->address - writer->address);
		writer->is_too_far |= !fits(distance);
		near = (int32_t)distance;
		memcpy(place, &near, sizeof(near));
	}
}

/* lea -number(%rax),%ecx; jrcxz hit: changes neither the flags nor eax. Returns the distance's
 * place where the hit comes later. */
static size_t
put_test(struct writer *writer, uint16_t number)
{
	int32_t offset = -(int32_t)number;

	if (offset >= INT8_MIN) {
		put(writer, (const uint8_t[]){0x8d, 0x48, (uint8_t)offset}, 3);
	} else {
		put(writer, (const uint8_t[]){0x8d, 0x88}, 2);
		put(writer, &offset, sizeof(offset));
	}
	put(writer, (const uint8_t[]){0xe3, 0}, 2);
	return writer->at - 1;
}

static void
set_short_distance(struct writer *writer, size_t place, size_t to)
{
	int64_t distance = (int64_t)to - (int64_t)(place + 1);

	vmt_assert(distance >= INT8_MIN && distance <= INT8_MAX);
	writer->bytes[place] = (uint8_t)distance;
}

/* lea ways(%rip),%r11; jmp *entry(%rip): where both lie is set at the end. Returns its place. */
static size_t
put_leave(struct writer *writer)
{
	static const uint8_t leave[] = {0x4c, 0x8d, 0x1d, 0, 0, 0, 0, 0xff, 0x25, 0, 0, 0, 0};
	size_t at = writer->at;

	put(writer, leave, sizeof(leave));
	return at;
}

static void
put_ways(struct writer *writer, size_t leave, const struct vmt_cut_ways *ways, uint64_t entry)
{
	int32_t distance;

	while (writer->at % sizeof(uint64_t) != 0)
		put_byte(writer, 0xcc);
	distance = (int32_t)(writer->at - (leave + 7));
	memcpy(writer->bytes + leave + 3, &distance, sizeof(distance));
	put(writer, ways, sizeof(*ways));
	distance = (int32_t)(writer->at - (leave + 13));
	memcpy(writer->bytes + leave + 9, &distance, sizeof(distance));
	put(writer, &entry, sizeof(entry));
}

/* Where the next ways will end. */
static size_t
ways_end(const struct writer *writer)
{
	size_t start = (writer->at + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);

	return start + sizeof(struct vmt_cut_ways) + sizeof(uint64_t);
}

/* Tests on both sides of the way to the entry: a short jump reaches it from all of them. */
static size_t
put_choice(struct writer *writer, const struct vmt_wanted_calls *wanted, uint64_t bypass)
{
	size_t hits[VMT_CUTS_WANTED];
	uint32_t half = wanted->count / 2;
	size_t over;
	size_t leave;

	for (uint32_t i = 0; i < half; i++)
		hits[i] = put_test(writer, wanted->numbers[i]);
	put(writer, (const uint8_t[]){0xeb, 0}, 2);
	over = writer->at - 1;
	leave = put_leave(writer);
	set_short_distance(writer, over, writer->at);
	for (uint32_t i = half; i < wanted->count; i++)
		hits[i] = put_test(writer, wanted->numbers[i]);
	for (uint32_t i = 0; i < wanted->count; i++)
		set_short_distance(writer, hits[i], leave);
	put_jump(writer, bypass);
	return leave;
}

/* syscall; test %eax,%eax; jle exit; or $tag,%eax; to the entry; bypass: and $result,%eax; exit:
 * jump there. No stack is used: a child has another one, or its parent's. */
static size_t
put_birth(struct writer *writer, uint32_t kind, uint64_t exit, uint64_t *bypass)
{
	uint32_t tag = VMT_BIRTH_TAG | kind << VMT_BIRTH_KIND_SHIFT;
	uint32_t result = VMT_BIRTH_RESULT;
	size_t over;
	size_t leave;

	put(writer, (const uint8_t[]){0x0f, 0x05, 0x85, 0xc0, 0x7e, 0}, 6);
	over = writer->at - 1;
	put_byte(writer, 0x0d);
	put(writer, &tag, sizeof(tag));
	leave = put_leave(writer);
	*bypass = writer->address + writer->at;
	put_byte(writer, 0x25);
	put(writer, &result, sizeof(result));
	set_short_distance(writer, over, writer->at);
	put_jump(writer, exit);
	return leave;
}

/* mov $tag,%eax; to the entry; the exit's address; made: mov $number,%eax; syscall; neg %eax;
 * or $failed,%eax; to the entry; bypass: and $error,%eax; neg %rax; jump to the exit. What works
 * never comes back. No stack is used: a child may have its parent's. */
static size_t
put_exec(struct writer *writer, const struct vmt_syscall_site *site, uint64_t entry,
	 uint64_t *bypass)
{
	uint32_t number = site->number;
	uint32_t tag = VMT_EXEC_TAG | (number == SYS_execve ? 0 : VMT_EXEC_AT);
	uint32_t failed = tag | VMT_EXEC_FAILED;
	uint32_t error = VMT_EXEC_ERROR;
	struct vmt_cut_ways made;
	size_t leave;

	put_byte(writer, 0xb8);
	put(writer, &tag, sizeof(tag));
	leave = put_leave(writer);
	made.exit = made.bypass = writer->address + ways_end(writer) + sizeof(site->exit);
	put_ways(writer, leave, &made, entry);
	put(writer, &site->exit, sizeof(site->exit));
	put_byte(writer, 0xb8);
	put(writer, &number, sizeof(number));
	put(writer, (const uint8_t[]){0x0f, 0x05, 0xf7, 0xd8, 0x0d}, 5);
	put(writer, &failed, sizeof(failed));
	leave = put_leave(writer);
	*bypass = writer->address + writer->at;
	put_byte(writer, 0x25);
	put(writer, &error, sizeof(error));
	put(writer, (const uint8_t[]){0x48, 0xf7, 0xd8}, 3);
	put_jump(writer, site->exit);
	return leave;
}

static void
write_stub(struct writer *writer, const struct vmt_syscall_site *site,
	   const struct vmt_wanted_calls *wanted, uint64_t entry)
{
	struct vmt_cut_ways ways = {.exit = site->exit, .bypass = site->syscall};
	uint32_t birth = vmt_syscall_sites_birth(wanted, site->number);
	size_t leave;

	put_moved(writer, site);
	if (site->address + site->cut_bytes != site->syscall) { /* mov $number,%eax */
		uint32_t number = site->number;

		put_byte(writer, 0xb8);
		put(writer, &number, sizeof(number));
	}
	if (site->number == VMT_SITE_ANY_NUMBER)
		leave = put_choice(writer, wanted, site->syscall);
	else if (birth < wanted->births_count)
		leave = put_birth(writer, birth, site->exit, &ways.bypass);
	else if (vmt_syscall_sites_exec(wanted, site->number) < wanted->execs_count)
		leave = put_exec(writer, site, entry, &ways.bypass);
	else
		leave = put_leave(writer);
	put_ways(writer, leave, &ways, entry);
	while (writer->at % ALIGNMENT != 0)
		put_byte(writer, 0xcc);
}

/* 0: no room. */
static uint64_t
add_veneer(struct vmt_cut_veneers *veneers, uint64_t to)
{
	struct writer writer = {.bytes = veneers->bytes + veneers->used,
				.address = veneers->address + veneers->used};

	if (veneers->room - veneers->used < VMT_CUTS_VENEER_BYTES)
		return 0;
	put_far_jump(&writer, to);
	while (writer.at < VMT_CUTS_VENEER_BYTES)
		put_byte(&writer, 0xcc);
	veneers->used += writer.at;
	return writer.address;
}

static bool
write_cut(struct vmt_cut *cut, const struct vmt_syscall_site *site, const struct writer *stub,
	  struct vmt_cut_veneers *veneers)
{
	uint64_t veneer = veneers ? add_veneer(veneers, stub->address) : 0;
	uint64_t to = veneers ? veneer : stub->address;
	int64_t distance = (int64_t)(to - (site->address + VMT_CUTS_JUMP_BYTES));
	int32_t near = (int32_t)distance;

	*cut = (struct vmt_cut){
	    .address = site->address,
	    .stub = stub->address,
	    .veneer = veneer,
	    .stub_bytes = (uint16_t)stub->at,
	    .length = site->cut_bytes,
	};
	memcpy(cut->old_bytes, site->original, site->cut_bytes);
	memcpy(cut->new_bytes, site->original, site->cut_bytes);
	cut->new_bytes[0] = 0xe9;
	memcpy(cut->new_bytes + 1, &near, sizeof(near));
	return to != 0 && fits(distance);
}

size_t
vmt_cuts_stub_bytes(const struct vmt_syscall_site *sites, size_t count)
{
	size_t cuts = 0;

	for (size_t i = 0; i < count; i++)
		cuts += sites[i].verdict == VMT_SITE_CUT;
	return cuts * VMT_CUTS_STUB_BYTES;
}

long
vmt_cuts_make(const struct vmt_syscall_site *sites, size_t count,
	      const struct vmt_wanted_calls *wanted, const struct vmt_cuts_place *place,
	      uint8_t *stubs, struct vmt_cut *cuts)
{
	long made = 0;
	size_t used = 0;

	vmt_assert(place->stubs % ALIGNMENT == 0);
	if (place->veneers)
		place->veneers->used = 0;
	if (wanted->count > VMT_CUTS_WANTED)
		return -E2BIG;
	for (size_t i = 0; i < count; i++) {
		struct writer writer = {.bytes = stubs + used,
					.address = place->stubs + used,
					.is_far = place->veneers != NULL};

		if (sites[i].verdict != VMT_SITE_CUT)
			continue;
		vmt_assert(sites[i].cut_bytes >= VMT_CUTS_JUMP_BYTES &&
			   sites[i].cut_bytes <= VMT_SITE_CUT_BYTES);
		write_stub(&writer, &sites[i], wanted, place->entry);
		if (!write_cut(&cuts[made], &sites[i], &writer, place->veneers) ||
		    writer.is_too_far)
			return -ERANGE;
		used += writer.at;
		made++;
	}
	return made;
}

uint64_t
vmt_cuts_into_stub(const struct vmt_cut *cut, uint64_t address)
{
	if (address <= cut->address || address - cut->address >= cut->length)
		return address;
	return cut->stub + (address - cut->address);
}

uint64_t
vmt_cuts_out_of_stub(const struct vmt_cut *cut, uint64_t address)
{
	uint64_t offset = address - cut->stub;

	if (cut->veneer != 0 && address == cut->veneer)
		return cut->address;
	if (offset >= cut->stub_bytes)
		return address;
	return cut->address + (offset < cut->length ? offset : cut->length);
}
