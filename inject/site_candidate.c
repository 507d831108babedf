#include "inject/site_candidate.h"

#include "base/assert.h"
#include "inject/near_branches.h"
#include "inject/register_writes.h"
#include "inject/site_verdict.h"

#include <string.h>

#define JUMP_BYTES 5u
#define RCX 1u
#define R11 11u
#define EXIT_NUMBER 231u /* exit_group on x86-64 */

/* Step `back` instructions before the syscall: 0 is the last. NULL: the run begins behind it. */
static const struct vmt_code_step *
step_back(const struct vmt_straight_run *run, uint32_t back)
{
	if (back >= run->count || back >= VMT_STRAIGHT_RUN)
		return NULL;
	return &run->steps[(run->count - 1 - back) % VMT_STRAIGHT_RUN];
}

static bool
can_move(const struct vmt_instruction *instruction)
{
	return instruction->flow == VMT_FLOW_ON &&
	       (instruction->rip_displacement_at == 0 || !instruction->has_address_prefix);
}

/* As few whole instructions as a jump needs. */
static void
choose_cut(const struct vmt_straight_run *run, struct vmt_site_candidate *candidate)
{
	candidate->cut = candidate->cut_end = candidate->syscall;
	for (uint32_t back = 0; candidate->cut_end - candidate->cut < JUMP_BYTES; back++) {
		const struct vmt_code_step *step = step_back(run, back);

		if (!step) {
			candidate->verdict = VMT_SITE_NO_ROOM;
			return;
		}
		if (!can_move(&step->instruction)) {
			candidate->verdict = VMT_SITE_CANT_MOVE;
			return;
		}
		candidate->cut = step->address;
	}
	vmt_assert(candidate->syscall - candidate->cut <= VMT_SITE_CUT_BYTES);
	candidate->verdict = VMT_SITE_CUT;
}

/* xor %eax,%eax; mov $number,%al: as musl has it. */
static bool
is_byte_number(const struct vmt_code_step *step, const struct vmt_code_step *before,
	       uint32_t *number)
{
	static const uint8_t clear[] = {0x31, 0xc0};

	if (step->bytes[0] != 0xb0 || before->instruction.length != sizeof(clear) ||
	    memcmp(before->bytes, clear, sizeof(clear)) != 0)
		return false;
	*number = step->bytes[1];
	return true;
}

static void
note_copy(struct vmt_site_candidate *candidate, uint64_t address, uint8_t source)
{
	bool is_first = candidate->number_register == VMT_REGISTER_RAX;
	bool is_left_alone = source != VMT_REGISTER_RAX && source != RCX && source != R11;

	candidate->copied_at = is_first && is_left_alone ? address : 0;
	candidate->number_register = source;
}

/* Through copies, as far as the straight run goes. */
static void
find_number(const struct vmt_straight_run *run, struct vmt_site_candidate *candidate)
{
	const struct vmt_code_step *step;
	const struct vmt_code_step *before;

	candidate->number = VMT_SITE_ANY_NUMBER;
	candidate->number_from = candidate->syscall;
	candidate->number_register = VMT_REGISTER_RAX;
	for (uint32_t back = 0; (step = step_back(run, back)) != NULL; back++) {
		struct vmt_register_write write = vmt_register_writes_to(
		    step->bytes, &step->instruction, candidate->number_register);

		if (write.kind == VMT_WRITE_NONE)
			continue;
		if (write.kind == VMT_WRITE_COPY) {
			note_copy(candidate, step->address, write.source);
			continue;
		}
		before = step_back(run, back + 1);
		if (candidate->number_register == VMT_REGISTER_RAX && before &&
		    is_byte_number(step, before, &candidate->number))
			candidate->number_from = before->address;
		candidate->number_register = VMT_REGISTER_RAX;
		if (write.kind == VMT_WRITE_NUMBER) {
			candidate->number = write.number;
			candidate->number_from = step->address;
		}
		return;
	}
}

static bool
is_after_jump(const struct vmt_straight_run *run)
{
	const struct vmt_code_step *first = step_back(run, 0);

	return run->count == 1 && run->before_jump_count != 0 && first &&
	       first->address == run->jump_target;
}

static const struct vmt_code_step *
step_before_jump(const struct vmt_straight_run *run, uint32_t back)
{
	if (back >= run->before_jump_count || back >= VMT_STRAIGHT_RUN)
		return NULL;
	return &run->before_jump[(run->before_jump_count - 1 - back) % VMT_STRAIGHT_RUN];
}

/* The end of the process in glibc up to 2.41 ("mov $231,%edx; jmp" to "mov %edx,%eax; syscall"):
 * what would be cut stands before the jump. Whoever comes from elsewhere ends unseen. */
static void
look_before_jump(const struct vmt_straight_run *run, struct vmt_site_candidate *candidate)
{
	const struct vmt_code_step *step = step_back(run, 0);
	struct vmt_register_write write = {.kind = VMT_WRITE_NONE};
	uint64_t cut = run->jump;
	uint8_t from;

	if (step)
		write = vmt_register_writes_to(step->bytes, &step->instruction, VMT_REGISTER_RAX);
	if (write.kind != VMT_WRITE_COPY)
		return;
	from = write.source;
	write.kind = VMT_WRITE_NONE;
	for (uint32_t back = 0; write.kind == VMT_WRITE_NONE || run->jump - cut < JUMP_BYTES;
	     back++) {
		step = step_before_jump(run, back);
		if (!step || !can_move(&step->instruction))
			return;
		if (write.kind == VMT_WRITE_NONE)
			write = vmt_register_writes_to(step->bytes, &step->instruction, from);
		if (run->jump - cut < JUMP_BYTES)
			cut = step->address;
	}
	if (write.kind != VMT_WRITE_NUMBER || write.number != EXIT_NUMBER)
		return;
	candidate->verdict = VMT_SITE_CUT;
	candidate->cut = cut;
	candidate->cut_end = run->jump;
	candidate->number = EXIT_NUMBER;
	candidate->is_constant = true;
}

static bool
has_arguments(const struct vmt_straight_run *run)
{
	const struct vmt_code_step *step;
	uint32_t found = 0;

	for (uint32_t back = 0; (step = step_back(run, back)) != NULL; back++)
		found += vmt_register_writes_argument(step->bytes, &step->instruction);
	return found >= 2;
}

void
vmt_site_candidate_make(struct vmt_site_candidate *candidate, const struct vmt_straight_run *run,
			uint64_t syscall, bool is_in_function)
{
	*candidate =
	    (struct vmt_site_candidate){.syscall = syscall, .is_in_function = is_in_function};
	choose_cut(run, candidate);
	find_number(run, candidate);
	candidate->has_arguments = has_arguments(run);
	if (candidate->verdict == VMT_SITE_NO_ROOM && is_after_jump(run))
		look_before_jump(run, candidate);
}

static bool
ends_run(const struct vmt_instruction *instruction)
{
	return instruction->flow != VMT_FLOW_ON && instruction->flow != VMT_FLOW_BRANCH;
}

static void
end_run(struct vmt_straight_run *run, const struct vmt_code_step *last)
{
	if (last->instruction.flow == VMT_FLOW_JUMP &&
	    vmt_near_branches_target(&last->instruction, last->address, &run->jump_target)) {
		memcpy(run->before_jump, run->steps, sizeof(run->steps));
		run->before_jump_count = run->count;
		run->jump = last->address;
	}
	run->count = 0;
}

void
vmt_straight_run_add(struct vmt_straight_run *run, const struct vmt_code_step *step)
{
	if (ends_run(&step->instruction))
		end_run(run, step);
	else
		run->steps[run->count++ % VMT_STRAIGHT_RUN] = *step;
}
