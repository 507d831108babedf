/*
 * register_numbers.h: which numbers does a function ever bring into a register?
 *
 * Compilers keep the number of a system call that is made in a loop in a register which calls leave
 * alone. Each write of such a register in the whole function is noted, in whatever order they run:
 * where all of them are numbers, the register holds one of these, whenever it is used. That a
 * function's end restores the register says nothing. Any other register may hold an argument, and
 * is changed by calls: it must get its first number before anything branches.
 *
 * Begin, note every instruction of the function in the order of their addresses, get. Pure.
 */
#ifndef VMT_REGISTER_NUMBERS_H
#define VMT_REGISTER_NUMBERS_H

#include "inject/instruction_length.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_REGISTER_NUMBERS_MAX 4u

struct vmt_register_numbers {
	struct vmt_register_number_set {
		uint16_t numbers[VMT_REGISTER_NUMBERS_MAX];
		uint8_t count;
		bool is_unknown;     /* something else is brought into it, too */
		bool may_be_restore; /* a pop, unless code follows that goes on */
	} registers[16];
	bool has_branched;
};

void vmt_register_numbers_begin(struct vmt_register_numbers *numbers);
void vmt_register_numbers_note(struct vmt_register_numbers *numbers, const uint8_t *bytes,
			       const struct vmt_instruction *instruction);

/* How many numbers the register may hold; 0: not known. */
uint32_t vmt_register_numbers_get(const struct vmt_register_numbers *numbers, unsigned wanted,
				  const uint16_t **found);

#endif
