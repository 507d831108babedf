#include "inject/syscall_sites.h"

#include "base/assert.h"
#include "format/go_forms.h"
#include "inject/byte_scan.h"
#include "inject/code_jumps.h"
#include "inject/instruction_length.h"
#include "inject/near_branches.h"
#include "inject/register_numbers.h"
#include "inject/register_writes.h"

#include <errno.h>
#include <string.h>

#define SYSCALL_BYTES 2u
#define JUMP_BYTES 5u
#define RUN 16u		 /* instructions of a straight run that are kept */
#define EXIT_NUMBER 231u /* exit_group on x86-64 */
#define AGREEMENT_BYTES 32u
#define CANDIDATES_MAX 8192u /* the largest programs have some hundreds */
#define DOUBT_BYTES 256u     /* so near to unknown bytes, in a gap, nothing is a site */
#define NO_WATCH UINT32_MAX

struct step {
	uint64_t address;
	const uint8_t *bytes;
	struct vmt_instruction instruction;
};

/* A syscall instruction that was found. */
struct candidate {
	uint64_t syscall;
	uint64_t cut;	      /* the cut's first byte, if there is one */
	uint64_t cut_end;     /* the syscall, or the jump before it */
	uint64_t number_from; /* the instruction that tells the number; == syscall: none does */
	uint32_t number;
	uint8_t number_register; /* the number comes from it, and from before the straight run */
	bool is_constant;	 /* ... and its function brings no other number into it */
	uint8_t verdict;
	bool is_in_function;
	bool has_arguments; /* instructions before it look like it */
	uint32_t watch;	    /* or NO_WATCH: it does not matter what leads there */
};

/* A list in a buffer. */
struct list {
	struct vmt_buffer buffer;
	size_t count;
};

struct finder {
	const struct vmt_code_map *map;
	const struct vmt_wanted_calls *wanted;
	struct list candidates;		     /* struct candidate */
	struct list branches;		     /* uint64_t: targets of branches of 1 byte */
	struct list tables;		     /* uint64_t: addresses of data that code computes */
	struct list unknown;		     /* uint64_t: where bytes are no known instruction */
	struct list watches;		     /* struct vmt_code_watch */
	struct vmt_register_numbers numbers; /* of the function that was read last */
	struct step run[RUN];		     /* instruction i of a run stands at i % RUN */
	uint32_t run_count;
	struct step before_jump[RUN]; /* the run that ended with the last jump over some bytes */
	uint32_t before_jump_count;
	uint64_t jump; /* that one */
	uint64_t jump_target;
	uint64_t done;	     /* code below it has been read */
	uint64_t first_left; /* of the candidates that are too many */
	uint32_t left;
	int error;
};

static void
append(struct finder *finder, struct list *list, const void *item, size_t bytes)
{
	if (!vmt_buffer_reserve(&list->buffer, (list->count + 1) * bytes)) {
		finder->error = -ENOMEM;
		return;
	}
	memcpy(list->buffer.bytes + list->count++ * bytes, item, bytes);
}

static void
append_address(struct finder *finder, struct list *list, uint64_t address)
{
	append(finder, list, &address, sizeof(address));
}

static const uint64_t *
addresses_of(const struct list *list)
{
	return (const uint64_t *)(const void *)list->buffer.bytes;
}

static struct candidate *
candidates_of(struct finder *finder)
{
	return (struct candidate *)(void *)finder->candidates.buffer.bytes;
}

static struct vmt_code_watch *
watches_of(struct finder *finder)
{
	return (struct vmt_code_watch *)(void *)finder->watches.buffer.bytes;
}

/* -- one syscall, by the straight run before it --------------------------------------------------
 * */

/* Step `back` instructions before the syscall: 0 is the last. NULL: the run begins behind it. */
static const struct step *
step_back(const struct finder *finder, uint32_t back)
{
	if (back >= finder->run_count || back >= RUN)
		return NULL;
	return &finder->run[(finder->run_count - 1 - back) % RUN];
}

static bool
can_move(const struct vmt_instruction *instruction)
{
	return instruction->flow == VMT_FLOW_ON &&
	       (instruction->rip_displacement_at == 0 || !instruction->has_address_prefix);
}

/* As few whole instructions as a jump needs. */
static void
choose_cut(const struct finder *finder, struct candidate *candidate)
{
	candidate->cut = candidate->cut_end = candidate->syscall;
	for (uint32_t back = 0; candidate->cut_end - candidate->cut < JUMP_BYTES; back++) {
		const struct step *step = step_back(finder, back);

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
is_byte_number(const struct step *step, const struct step *before, uint32_t *number)
{
	static const uint8_t clear[] = {0x31, 0xc0};

	if (step->bytes[0] != 0xb0 || !before || before->instruction.length != sizeof(clear) ||
	    memcmp(before->bytes, clear, sizeof(clear)) != 0)
		return false;
	*number = step->bytes[1];
	return true;
}

/* Through copies, as far as the straight run goes. */
static void
find_number(const struct finder *finder, struct candidate *candidate)
{
	const struct step *step;

	candidate->number = VMT_SITE_ANY_NUMBER;
	candidate->number_from = candidate->syscall;
	candidate->number_register = VMT_REGISTER_RAX;
	for (uint32_t back = 0; (step = step_back(finder, back)) != NULL; back++) {
		struct vmt_register_write write = vmt_register_writes_to(
		    step->bytes, &step->instruction, candidate->number_register);

		if (write.kind == VMT_WRITE_NONE)
			continue;
		if (write.kind == VMT_WRITE_COPY) {
			candidate->number_register = write.source;
			continue;
		}
		if (candidate->number_register == VMT_REGISTER_RAX &&
		    is_byte_number(step, step_back(finder, back + 1), &candidate->number))
			candidate->number_from = step_back(finder, back + 1)->address;
		candidate->number_register = VMT_REGISTER_RAX;
		if (write.kind == VMT_WRITE_NUMBER) {
			candidate->number = write.number;
			candidate->number_from = step->address;
		}
		return;
	}
}

static bool
is_after_jump(const struct finder *finder)
{
	return finder->run_count == 1 && finder->before_jump_count != 0 &&
	       step_back(finder, 0)->address == finder->jump_target;
}

static const struct step *
step_before_jump(const struct finder *finder, uint32_t back)
{
	if (back >= finder->before_jump_count || back >= RUN)
		return NULL;
	return &finder->before_jump[(finder->before_jump_count - 1 - back) % RUN];
}

/* The end of the process in glibc up to 2.41 ("mov $231,%edx; jmp" to "mov %edx,%eax; syscall"):
 * what would be cut stands before the jump. Whoever comes from elsewhere ends unseen. */
static void
look_before_jump(const struct finder *finder, struct candidate *candidate)
{
	const struct step *step = step_back(finder, 0);
	struct vmt_register_write write =
	    vmt_register_writes_to(step->bytes, &step->instruction, VMT_REGISTER_RAX);
	uint8_t from = write.source;
	uint64_t cut = finder->jump;

	if (write.kind != VMT_WRITE_COPY)
		return;
	write.kind = VMT_WRITE_NONE;
	for (uint32_t back = 0; write.kind == VMT_WRITE_NONE || finder->jump - cut < JUMP_BYTES;
	     back++) {
		step = step_before_jump(finder, back);
		if (!step || !can_move(&step->instruction))
			return;
		if (write.kind == VMT_WRITE_NONE)
			write = vmt_register_writes_to(step->bytes, &step->instruction, from);
		if (finder->jump - cut < JUMP_BYTES)
			cut = step->address;
	}
	if (write.kind != VMT_WRITE_NUMBER || write.number != EXIT_NUMBER)
		return;
	candidate->verdict = VMT_SITE_CUT;
	candidate->cut = cut;
	candidate->cut_end = finder->jump;
	candidate->number = EXIT_NUMBER;
	candidate->is_constant = true;
}

static bool
has_arguments(const struct finder *finder)
{
	const struct step *step;
	uint32_t found = 0;

	for (uint32_t back = 0; (step = step_back(finder, back)) != NULL; back++)
		found += vmt_register_writes_argument(step->bytes, &step->instruction);
	return found >= 2;
}

/* The last one: by where its cut ends. */
static void
sort_in(struct finder *finder)
{
	struct candidate *candidates = candidates_of(finder);

	for (size_t at = finder->candidates.count; at-- > 1;) {
		struct candidate moved = candidates[at];

		if (finder->error != 0 || candidates[at - 1].cut_end <= moved.cut_end)
			return;
		candidates[at] = candidates[at - 1];
		candidates[at - 1] = moved;
	}
}

static void
add_candidate(struct finder *finder, uint64_t address, bool is_in_function)
{
	struct candidate candidate = {.syscall = address, .is_in_function = is_in_function};

	if (finder->candidates.count == CANDIDATES_MAX) {
		if (finder->left++ == 0)
			finder->first_left = address;
		return;
	}
	choose_cut(finder, &candidate);
	find_number(finder, &candidate);
	candidate.has_arguments = has_arguments(finder);
	if (candidate.verdict == VMT_SITE_NO_ROOM && is_after_jump(finder))
		look_before_jump(finder, &candidate);
	append(finder, &finder->candidates, &candidate, sizeof(candidate));
	sort_in(finder);
}

uint32_t
vmt_syscall_sites_birth(const struct vmt_wanted_calls *wanted, uint32_t number)
{
	uint32_t i = 0;

	while (i < wanted->births_count && wanted->births[i] != number)
		i++;
	return i;
}

static bool
is_wanted(const struct finder *finder, uint32_t number)
{
	for (uint32_t i = 0; i < finder->wanted->count; i++)
		if (finder->wanted->numbers[i] == number)
			return true;
	return vmt_syscall_sites_birth(finder->wanted, number) < finder->wanted->births_count;
}

/* -- reading code --------------------------------------------------------------------------------
 * */

static void
note_step(struct finder *finder, const struct step *step)
{
	uint64_t target;

	if (vmt_near_branches_target(&step->instruction, step->address, &target))
		append_address(finder, &finder->branches, target);
	if (vmt_near_branches_table(&step->instruction, step->bytes, step->address, &target))
		append_address(finder, &finder->tables, target);
}

static bool
ends_run(const struct vmt_instruction *instruction)
{
	return instruction->flow != VMT_FLOW_ON && instruction->flow != VMT_FLOW_BRANCH;
}

static bool
needs_register(const struct candidate *candidate)
{
	return candidate->number_register != VMT_REGISTER_RAX && !candidate->is_constant;
}

static void
read_numbers(struct finder *finder, const uint8_t *bytes, uint64_t length)
{
	vmt_register_numbers_begin(&finder->numbers);
	for (uint64_t at = 0; at < length;) {
		struct vmt_instruction instruction;
		size_t taken = vmt_instruction_length_read(bytes + at, length - at, &instruction);

		if (taken > 0)
			vmt_register_numbers_note(&finder->numbers, bytes + at, &instruction);
		at += taken > 0 ? taken : 1;
	}
}

static void
settle_number(struct finder *finder, struct candidate *candidate)
{
	const uint16_t *numbers;
	uint32_t count =
	    vmt_register_numbers_get(&finder->numbers, candidate->number_register, &numbers);
	uint32_t wanted = 0;

	for (uint32_t i = 0; i < count; i++)
		wanted += is_wanted(finder, numbers[i]);
	candidate->is_constant = count > 0 && (wanted == 0 || count == 1);
	if (candidate->is_constant)
		candidate->number = numbers[0];
}

/* Of candidates from `first` on, whose function has been read: the numbers that come from before
 * their straight run, in a register into which the function brings but one, or none that is wanted.
 * Few functions have one: only these are read again. */
static void
settle_numbers(struct finder *finder, size_t first, const uint8_t *bytes, uint64_t length)
{
	struct candidate *candidates = candidates_of(finder);
	bool are_read = false;

	for (size_t i = first; i < finder->candidates.count; i++) {
		if (!needs_register(&candidates[i]))
			continue;
		if (!are_read)
			read_numbers(finder, bytes, length);
		are_read = true;
		settle_number(finder, &candidates[i]);
	}
}

static void
end_run(struct finder *finder, const struct step *last)
{
	if (last->instruction.flow == VMT_FLOW_JUMP &&
	    vmt_near_branches_target(&last->instruction, last->address, &finder->jump_target)) {
		memcpy(finder->before_jump, finder->run, sizeof(finder->run));
		finder->before_jump_count = finder->run_count;
		finder->jump = last->address;
	}
	finder->run_count = 0;
}

static void
read_stretch(struct finder *finder, const struct vmt_code_stretch *stretch)
{
	size_t room = 0;
	const uint8_t *bytes = vmt_code_map_bytes(finder->map, stretch->start, &room);
	uint64_t length = stretch->end - stretch->start;
	size_t first = finder->candidates.count;

	vmt_assert(bytes && room >= length);
	/* Tables of frames leave parts of functions out: a gap goes on with what comes before it.
	 * */
	if (stretch->is_function || stretch->start != finder->done)
		finder->run_count = 0;
	for (uint64_t at = 0; at < length && finder->error == 0;) {
		struct step step = {.address = stretch->start + at, .bytes = bytes + at};
		size_t taken =
		    vmt_instruction_length_read(bytes + at, length - at, &step.instruction);

		if (taken == 0) {
			append_address(finder, &finder->unknown, step.address);
			finder->run_count = 0;
			at++;
			continue;
		}
		note_step(finder, &step);
		if (step.instruction.flow == VMT_FLOW_SYSCALL)
			add_candidate(finder, step.address, stretch->is_function);
		if (ends_run(&step.instruction))
			end_run(finder, &step);
		else
			finder->run[finder->run_count++ % RUN] = step;
		at += taken;
	}
	if (stretch->is_function)
		settle_numbers(finder, first, bytes, length);
	finder->done = stretch->end;
}

/* Code that has not been read yet, as far as [low, high) needs it. */
static void
read_around(struct finder *finder, const struct vmt_code_segment *segment, uint64_t low,
	    uint64_t high)
{
	uint64_t end = segment->address + segment->length;
	uint64_t at = low < finder->done ? finder->done : low;
	struct vmt_code_stretch stretch;

	if (at < segment->address)
		at = segment->address;
	if (high > end)
		high = end;
	while (at < high && finder->error == 0 && vmt_code_map_stretch(finder->map, at, &stretch)) {
		if (stretch.start < finder->done) /* of a gap, the rest */
			stretch.start = finder->done;
		read_stretch(finder, &stretch);
		at = stretch.end;
	}
}

/* The next place of a syscall's bytes; the length: there is none. */
static uint64_t
find_syscall(const struct vmt_code_segment *segment, uint64_t at)
{
	const uint8_t *bytes = segment->bytes;
	uint32_t found;

	for (; at + VMT_BYTE_SCAN_ROOM <= segment->length; at += VMT_BYTE_SCAN_PLACES) {
		found = vmt_byte_scan_pairs(bytes + at, 0x0f, 0x05);
		if (found != 0)
			return at + (uint32_t)__builtin_ctz(found);
	}
	while (at + SYSCALL_BYTES <= segment->length && (bytes[at] != 0x0f || bytes[at + 1] != 5))
		at++;
	return at + SYSCALL_BYTES <= segment->length ? at : segment->length;
}

/* Where the bytes of a syscall stand is read: from the beginning of the function, or of the gap.
 * */
static void
read_segment(struct finder *finder, const struct vmt_code_segment *segment)
{
	for (uint64_t at = find_syscall(segment, 0); at < segment->length && finder->error == 0;
	     at = find_syscall(segment, at + 1)) {
		uint64_t address = segment->address + at;

		read_around(finder, segment, address - VMT_NEAR_BRANCHES_BYTES,
			    address + VMT_NEAR_BRANCHES_BYTES);
	}
}

/* -- judging: one syscall by itself
 * ---------------------------------------------------------------------------------
 * */

/* Known code around a syscall, which lies at `syscall` in it. */
struct form {
	uint8_t bytes[48];
	uint8_t count;
	uint8_t syscall;
	uint8_t verdict;
};

static const struct form forms[] = {
#if defined(__x86_64__)
    {{VMT_GO_FORM_MADVISE}, 28, 21, VMT_SITE_GO_FORM},
    {{VMT_GO_FORM_MADVISE_SHORT}, 26, 19, VMT_SITE_GO_FORM},
    {{VMT_GO_FORM_MMAP}, 42, 34, VMT_SITE_GO_FORM},
    {{VMT_GO_FORM_MUNMAP}, 25, 17, VMT_SITE_GO_FORM},
    {{VMT_GO_FORM_MUNMAP_SHORT}, 23, 15, VMT_SITE_GO_FORM},
    {{VMT_GO_FORM_EXIT}, 12, 9, VMT_SITE_GO_FORM},
    {{VMT_GO_FORM_SYSCALL}, 20, 12, VMT_SITE_GO_FORM},
#endif
    /* mov %r9,%r10; mov 8(%rsp),%r8; mov 16(%rsp),%r9; mov %r11,8(%rsp); syscall: the end of
     * musl's __syscall_cp_asm and of glibc's __syscall_cancel_arch (2.41) */
    {{0x4d, 0x89, 0xca, 0x4c, 0x8b, 0x44, 0x24, 0x08, 0x4c, 0x8b,
      0x4c, 0x24, 0x10, 0x4c, 0x89, 0x5c, 0x24, 0x08, 0x0f, 0x05},
     20,
     18,
     VMT_SITE_CANCEL_POINT},
};

static bool
matches(const struct vmt_code_map *map, const struct form *form, uint64_t address)
{
	size_t room;
	const uint8_t *bytes = vmt_code_map_bytes(map, address - form->syscall, &room);

	return bytes && room >= form->count && memcmp(bytes, form->bytes, form->count) == 0;
}

static uint8_t
verdict_by_form(const struct vmt_code_map *map, uint64_t address)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (matches(map, &forms[i], address))
			return forms[i].verdict;
	return VMT_SITE_CUT;
}

/* They are noted in ascending order. */
static bool
has_unknown(const struct finder *finder, uint64_t low, uint64_t high)
{
	const uint64_t *unknown = addresses_of(&finder->unknown);
	size_t first = 0;
	size_t end = finder->unknown.count;

	while (first < end) {
		size_t half = first + (end - first) / 2;

		if (unknown[half] < low)
			first = half + 1;
		else
			end = half;
	}
	return first < finder->unknown.count && unknown[first] < high;
}

/* Whether bytes that are no instruction lie in its function, or near it in a gap. */
static bool
is_doubtful(const struct finder *finder, const struct candidate *candidate)
{
	struct vmt_code_stretch stretch;

	if (!vmt_code_map_stretch(finder->map, candidate->syscall, &stretch))
		return true;
	if (!stretch.is_function) {
		if (candidate->syscall - stretch.start > DOUBT_BYTES)
			stretch.start = candidate->syscall - DOUBT_BYTES;
		if (stretch.end - candidate->syscall > DOUBT_BYTES)
			stretch.end = candidate->syscall + DOUBT_BYTES;
	}
	return has_unknown(finder, stretch.start, stretch.end);
}

/* Code between known functions may be data: there, what makes a number or arguments is code. */
static bool
is_code(const struct candidate *candidate)
{
	return candidate->is_in_function || candidate->number_from < candidate->syscall ||
	       candidate->has_arguments;
}

/* Whether reading from other places nearby comes upon the cut's first byte, too. Instructions that
 * are read from a wrong beginning soon fall in with the right ones; so where most others don't come
 * there, it is the bounds of the function that are wrong. */
static bool
is_agreed(const struct finder *finder, const struct candidate *candidate)
{
	uint32_t readings = 0;
	uint32_t agreeing = 0;

	for (uint64_t back = 1; back <= AGREEMENT_BYTES; back++) {
		uint64_t at = candidate->cut - back;
		struct vmt_instruction instruction = {.length = 1};

		while (at < candidate->cut && instruction.length > 0) {
			size_t room = 0;
			const uint8_t *bytes = vmt_code_map_bytes(finder->map, at, &room);

			if (!bytes)
				room = 0;
			vmt_instruction_length_read(bytes, room, &instruction);
			at += instruction.length;
		}
		readings += instruction.length > 0;
		agreeing += instruction.length > 0 && at == candidate->cut;
	}
	/* At the beginning of all code there are few to ask. */
	return readings < AGREEMENT_BYTES / 2 || agreeing * 2 >= readings;
}

/* What is known of a candidate, whatever leads to it. */
static uint8_t
judge(const struct finder *finder, const struct candidate *candidate)
{
	uint8_t verdict = verdict_by_form(finder->map, candidate->syscall);

	if (verdict != VMT_SITE_CUT)
		return verdict;
	if (is_doubtful(finder, candidate))
		return VMT_SITE_UNKNOWN_CODE;
	if (!is_code(candidate))
		return VMT_SITE_MAYBE_DATA;
	if (candidate->verdict != VMT_SITE_CUT)
		return candidate->verdict;
	return is_agreed(finder, candidate) ? VMT_SITE_CUT : VMT_SITE_UNKNOWN_CODE;
}

/* -- what leads where ----------------------------------------------------------------------------
 * */

/* Whether its straight run tells its number, unless something leads into that. */
static bool
has_number_before(const struct candidate *candidate)
{
	return !candidate->is_constant && candidate->number_from < candidate->syscall;
}

static void
watch(struct finder *finder, struct candidate *candidate)
{
	struct vmt_code_watch watch = {.low = candidate->number_from, .high = candidate->cut_end};

	if (candidate->verdict == VMT_SITE_CUT && candidate->cut < watch.low)
		watch.low = candidate->cut;
	candidate->watch = (uint32_t)finder->watches.count;
	append(finder, &finder->watches, &watch, sizeof(watch));
}

static void
judge_candidates(struct finder *finder)
{
	struct candidate *candidates = candidates_of(finder);

	for (size_t i = 0; i < finder->candidates.count && finder->error == 0; i++) {
		candidates[i].verdict = judge(finder, &candidates[i]);
		candidates[i].watch = NO_WATCH;
		if (candidates[i].verdict == VMT_SITE_CUT || has_number_before(&candidates[i]))
			watch(finder, &candidates[i]);
	}
}

static void
find_jumps(struct finder *finder)
{
	struct vmt_code_watch *watches = watches_of(finder);
	size_t count = finder->watches.count;

	vmt_code_jumps_find(finder->map, watches, count);
	for (size_t i = 0; i < finder->branches.count; i++)
		vmt_code_jumps_note(watches, count, addresses_of(&finder->branches)[i]);
	for (size_t i = 0; i < finder->tables.count; i++)
		vmt_code_jumps_note_table(finder->map, watches, count,
					  addresses_of(&finder->tables)[i]);
}

static bool
knows_number(const struct candidate *candidate, const struct vmt_code_watch *watch)
{
	return candidate->is_constant ||
	       (has_number_before(candidate) && watch->last_hit <= candidate->number_from &&
		!watch->is_high_hit);
}

static uint8_t
verdict_by_jumps(const struct candidate *candidate, const struct vmt_code_watch *watch)
{
	if (candidate->verdict != VMT_SITE_CUT)
		return candidate->verdict;
	if (watch->last_hit > candidate->cut)
		return VMT_SITE_JUMPED_INTO;
	return watch->is_high_hit ? VMT_SITE_JUMPED_TO : VMT_SITE_CUT;
}

/* -- sites ---------------------------------------------------------------------------------------
 * */

static void
write_site(const struct finder *finder, const struct candidate *candidate,
	   const struct vmt_code_watch *watch, struct vmt_syscall_site *site)
{
	size_t room;

	*site = (struct vmt_syscall_site){
	    .address = candidate->syscall,
	    .syscall = candidate->syscall,
	    .exit = candidate->syscall + SYSCALL_BYTES,
	    .number =
		knows_number(candidate, watch) ? (uint16_t)candidate->number : VMT_SITE_ANY_NUMBER,
	    .verdict = verdict_by_jumps(candidate, watch),
	};
	if (site->verdict != VMT_SITE_CUT)
		return;
	site->address = candidate->cut;
	site->cut_bytes = (uint8_t)(candidate->cut_end - candidate->cut);
	memcpy(site->original, vmt_code_map_bytes(finder->map, candidate->cut, &room),
	       site->cut_bytes);
}

static void
append_site(struct finder *finder, struct vmt_buffer *sites, size_t *count,
	    const struct vmt_syscall_site *site)
{
	if (!vmt_buffer_reserve(sites, (*count + 1) * sizeof(*site))) {
		finder->error = -ENOMEM;
		return;
	}
	memcpy(sites->bytes + (*count)++ * sizeof(*site), site, sizeof(*site));
}

static void
write_left(struct finder *finder, struct vmt_buffer *sites, size_t *count)
{
	struct vmt_syscall_site site = {
	    .address = finder->first_left,
	    .syscall = finder->first_left,
	    .exit = finder->first_left + SYSCALL_BYTES,
	    .number = VMT_SITE_ANY_NUMBER,
	    .verdict = VMT_SITE_TOO_MANY,
	    .others = finder->left - 1,
	};

	if (finder->left != 0)
		append_site(finder, sites, count, &site);
}

static void
write_sites(struct finder *finder, struct vmt_buffer *sites, size_t *count)
{
	const struct candidate *candidates = candidates_of(finder);
	const struct vmt_code_watch *watches = watches_of(finder);

	for (size_t i = 0; i < finder->candidates.count && finder->error == 0; i++) {
		static const struct vmt_code_watch none;
		uint32_t number = candidates[i].watch;
		const struct vmt_code_watch *watch = number == NO_WATCH ? &none : &watches[number];
		struct vmt_syscall_site site;

		if (knows_number(&candidates[i], watch) && !is_wanted(finder, candidates[i].number))
			continue;
		write_site(finder, &candidates[i], watch, &site);
		append_site(finder, sites, count, &site);
	}
	write_left(finder, sites, count);
}

static void
close_finder(struct finder *finder)
{
	vmt_buffer_free(&finder->candidates.buffer);
	vmt_buffer_free(&finder->branches.buffer);
	vmt_buffer_free(&finder->tables.buffer);
	vmt_buffer_free(&finder->unknown.buffer);
	vmt_buffer_free(&finder->watches.buffer);
}

int
vmt_syscall_sites_find(const struct vmt_code_map *map, const struct vmt_wanted_calls *wanted,
		       struct vmt_buffer *sites, size_t *count)
{
	struct finder finder = {.map = map, .wanted = wanted};

	*count = 0;
	for (uint32_t i = 0; i < map->segments_count; i++)
		if (map->segments[i].is_code)
			read_segment(&finder, &map->segments[i]);
	if (finder.error == 0)
		judge_candidates(&finder);
	if (finder.error == 0) {
		find_jumps(&finder);
		write_sites(&finder, sites, count);
	}
	close_finder(&finder);
	return finder.error;
}

const char *
vmt_syscall_sites_why(enum vmt_site_verdict verdict)
{
	switch (verdict) {
	case VMT_SITE_CUT:
		return "is recorded";
	case VMT_SITE_GO_FORM:
		return "is a known function of Go's";
	case VMT_SITE_CANCEL_POINT:
		return "is where the C library cancels threads";
	case VMT_SITE_JUMPED_INTO:
		return "has a jump into the bytes that would have to be replaced";
	case VMT_SITE_JUMPED_TO:
		return "has a jump past the bytes that would have to be replaced";
	case VMT_SITE_NO_ROOM:
		return "has too few instructions before its system call";
	case VMT_SITE_CANT_MOVE:
		return "has an instruction before its system call that can't run elsewhere";
	case VMT_SITE_TWO_PAGES:
		return "has the bytes that would have to be replaced in two pages";
	case VMT_SITE_OCCUPIED:
		return "was in use";
	case VMT_SITE_NO_PLACE:
		return "has no free memory within reach";
	case VMT_SITE_UNKNOWN_CODE:
		return "has bytes that are no known instruction";
	case VMT_SITE_MAYBE_DATA:
		return "may be data";
	case VMT_SITE_TOO_MANY:
		return "comes after more system calls than a program has";
	}
	return "";
}
