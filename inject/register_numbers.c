#include "inject/register_numbers.h"

#include "inject/register_writes.h"

#include <string.h>

#define REGISTERS 16u

void
vmt_register_numbers_begin(struct vmt_register_numbers *numbers)
{
	memset(numbers, 0, sizeof(*numbers));
}

static void
add(struct vmt_register_number_set *set, uint32_t number)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->numbers[i] == number)
			return;
	if (set->count == VMT_REGISTER_NUMBERS_MAX || number > UINT16_MAX)
		set->is_unknown = true;
	else
		set->numbers[set->count++] = (uint16_t)number;
}

/* A pop before a return, or before a jump to another function, restores; any other is a write. */
static void
settle_restore(struct vmt_register_number_set *set, const struct vmt_instruction *instruction)
{
	if (instruction->flow == VMT_FLOW_ON || !set->may_be_restore)
		return;
	set->may_be_restore = false;
	if (instruction->flow != VMT_FLOW_RETURN && instruction->flow != VMT_FLOW_JUMP)
		set->is_unknown = true;
}

static void
note_write(struct vmt_register_number_set *set, const struct vmt_register_write *write)
{
	switch (write->kind) {
	case VMT_WRITE_NONE:
		break;
	case VMT_WRITE_NUMBER:
		add(set, write->number);
		break;
	case VMT_WRITE_RESTORE:
		set->may_be_restore = true;
		break;
	default:
		set->is_unknown = true;
		break;
	}
}

/* Of a register that may come with a value into the function. */
static void
refuse_late(struct vmt_register_number_set *set, const struct vmt_register_write *write,
	    bool has_branched)
{
	set->is_unknown |= write->kind == VMT_WRITE_RESTORE ||
			   (write->kind != VMT_WRITE_NONE && set->count == 0 && has_branched);
}

void
vmt_register_numbers_note(struct vmt_register_numbers *numbers, const uint8_t *bytes,
			  const struct vmt_instruction *instruction)
{
	for (unsigned i = 0; i < REGISTERS; i++) {
		struct vmt_register_number_set *set = &numbers->registers[i];
		struct vmt_register_write write;

		if (set->is_unknown)
			continue;
		settle_restore(set, instruction);
		write = vmt_register_writes_to(bytes, instruction, i);
		if (!vmt_register_writes_is_kept(i))
			refuse_late(set, &write, numbers->has_branched);
		note_write(set, &write);
	}
	numbers->has_branched |= instruction->flow != VMT_FLOW_ON;
}

uint32_t
vmt_register_numbers_get(const struct vmt_register_numbers *numbers, unsigned wanted,
			 const uint16_t **found)
{
	const struct vmt_register_number_set *set = &numbers->registers[wanted % REGISTERS];

	*found = set->numbers;
	return set->is_unknown || set->may_be_restore ? 0 : set->count;
}
