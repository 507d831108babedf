/*
 * Where the system calls in a program's code are.
 *
 * Over 500 lines: all steps work on the one struct finder.
 */
#include "inject/syscall_sites.h"

#include "base/assert.h"
#include "inject/byte_skip.h"
#include "inject/code_jumps.h"
#include "inject/instruction_length.h"
#include "inject/near_branches.h"
#include "inject/register_numbers.h"
#include "inject/register_writes.h"
#include "inject/site_candidate.h"
#include "inject/site_judge.h"

#include <errno.h>
#include <string.h>

#define SYSCALL_BYTES 2u
#define CANDIDATES_MAX 8192u /* the largest programs have some hundreds */
#define NO_WATCH UINT32_MAX

/* A list in a buffer. */
struct list {
	struct vmt_buffer buffer;
	size_t count;
};

struct finder {
	const struct vmt_code_map *map;
	const struct vmt_wanted_calls *wanted;
	struct list candidates; /* struct vmt_site_candidate */
	struct list branches;	/* uint64_t: targets of branches of 1 byte */
	struct list loops;	/* uint64_t: of those that candidates know, apart from these */
	struct list tables;	/* uint64_t: addresses of data that code computes */
	struct list unknown;	/* uint64_t, ascending: where bytes are no known instruction */
	struct list watches;	/* struct vmt_code_watch */
	struct vmt_register_numbers numbers; /* of the function that was read last */
	struct vmt_straight_run run;
	uint64_t done;	     /* code below it has been read */
	uint64_t function;   /* whose instructions were counted last, from its start */
	uint64_t counted_to; /* where one of them begins */
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

static struct vmt_site_candidate *
candidates_of(struct finder *finder)
{
	return (struct vmt_site_candidate *)(void *)finder->candidates.buffer.bytes;
}

static struct vmt_code_watch *
watches_of(struct finder *finder)
{
	return (struct vmt_code_watch *)(void *)finder->watches.buffer.bytes;
}

/* The last one: by where its cut ends. */
static void
sort_in(struct finder *finder)
{
	struct vmt_site_candidate *candidates = candidates_of(finder);

	for (size_t at = finder->candidates.count; at-- > 1;) {
		struct vmt_site_candidate moved = candidates[at];

		if (finder->error != 0 || candidates[at - 1].cut_end <= moved.cut_end)
			return;
		candidates[at] = candidates[at - 1];
		candidates[at - 1] = moved;
	}
}

static void
add_candidate(struct finder *finder, uint64_t address, bool is_in_function)
{
	struct vmt_site_candidate candidate;

	if (finder->candidates.count == CANDIDATES_MAX) {
		if (finder->left++ == 0)
			finder->first_left = address;
		return;
	}
	vmt_site_candidate_make(&candidate, &finder->run, address, is_in_function);
	append(finder, &finder->candidates, &candidate, sizeof(candidate));
	sort_in(finder);
}

static uint32_t
index_of(uint32_t number, const uint16_t *numbers, uint32_t count)
{
	uint32_t i = 0;

	while (i < count && numbers[i] != number)
		i++;
	return i;
}

uint32_t
vmt_syscall_sites_birth(const struct vmt_wanted_calls *wanted, uint32_t number)
{
	return index_of(number, wanted->births, wanted->births_count);
}

uint32_t
vmt_syscall_sites_exec(const struct vmt_wanted_calls *wanted, uint32_t number)
{
	return index_of(number, wanted->execs, wanted->execs_count);
}

static bool
is_wanted(const struct finder *finder, uint32_t number)
{
	const struct vmt_wanted_calls *wanted = finder->wanted;

	return index_of(number, wanted->numbers, wanted->count) < wanted->count ||
	       vmt_syscall_sites_birth(wanted, number) < wanted->births_count ||
	       vmt_syscall_sites_exec(wanted, number) < wanted->execs_count;
}

/* -- reading code --------------------------------------------------------------------------------
 * */

/* The candidate that ends where this instruction begins. */
static struct vmt_site_candidate *
find_before(struct finder *finder, uint64_t address)
{
	struct vmt_site_candidate *candidates = candidates_of(finder);

	for (size_t i = finder->candidates.count; i-- > 0 && finder->candidates.count - i <= 2;)
		if (candidates[i].syscall + SYSCALL_BYTES == address)
			return &candidates[i];
	return NULL;
}

/* A system call that ends its thread or process is made again and again: with the same number, as
 * that is copied anew each time. */
static bool
is_loop(struct finder *finder, const struct vmt_code_step *step, uint64_t target)
{
	struct vmt_site_candidate *candidate =
	    step->instruction.flow == VMT_FLOW_JUMP ? find_before(finder, step->address) : NULL;

	if (!candidate || candidate->number_from >= target || target > candidate->copied_at)
		return false;
	candidate->is_loop = true;
	return true;
}

static void
note_step(struct finder *finder, const struct vmt_code_step *step)
{
	uint64_t target;

	if (vmt_near_branches_target(&step->instruction, step->address, &target))
		append_address(finder,
			       is_loop(finder, step, target) ? &finder->loops : &finder->branches,
			       target);
	if (vmt_near_branches_table(&step->instruction, step->bytes, step->address, &target))
		append_address(finder, &finder->tables, target);
}

static bool
needs_register(const struct vmt_site_candidate *candidate)
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
settle_number(struct finder *finder, struct vmt_site_candidate *candidate)
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
	struct vmt_site_candidate *candidates = candidates_of(finder);
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
		finder->run.count = 0;
	for (uint64_t at = 0; at < length && finder->error == 0;) {
		struct vmt_code_step step = {.address = stretch->start + at, .bytes = bytes + at};
		size_t taken =
		    vmt_instruction_length_read(bytes + at, length - at, &step.instruction);

		if (taken == 0) {
			append_address(finder, &finder->unknown, step.address);
			finder->run.count = 0;
			at++;
			continue;
		}
		note_step(finder, &step);
		if (step.instruction.flow == VMT_FLOW_SYSCALL)
			add_candidate(finder, step.address, stretch->is_function);
		vmt_straight_run_add(&finder->run, &step);
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

	at = vmt_byte_skip_pairs(bytes, at, segment->length, 0x0f, 0x05);
	for (; at + VMT_BYTE_SCAN_ROOM <= segment->length; at += VMT_BYTE_SCAN_PLACES) {
		found = vmt_byte_scan_pairs(bytes + at, 0x0f, 0x05);
		if (found != 0)
			return at + (uint32_t)__builtin_ctz(found);
	}
	while (at + SYSCALL_BYTES <= segment->length && (bytes[at] != 0x0f || bytes[at + 1] != 5))
		at++;
	return at + SYSCALL_BYTES <= segment->length ? at : segment->length;
}

/* Counts on from where the last count of the function ended. Places come in ascending order. */
static uint64_t
begin_count(const struct finder *finder, uint64_t function, uint64_t address)
{
	bool goes_on = finder->function == function && finder->counted_to <= address;

	return goes_on ? finder->counted_to : function;
}

/* Whether an instruction of a function, read from its beginning, is a syscall at this place. Its
 * bytes also stand in numbers and distances of others. In doubt it is. */
static bool
may_be_syscall(struct finder *finder, uint64_t address)
{
	struct vmt_code_stretch stretch;
	struct vmt_instruction instruction = {.length = 1};
	const uint8_t *bytes;
	size_t room = 0;
	uint64_t at;

	if (!vmt_code_map_stretch(finder->map, address, &stretch) || !stretch.is_function)
		return true;
	at = begin_count(finder, stretch.start, address);
	bytes = vmt_code_map_bytes(finder->map, stretch.start, &room);
	finder->function = stretch.start;
	finder->counted_to = at;
	while (bytes && at < address && instruction.length > 0) {
		finder->counted_to = at;
		vmt_instruction_length_read(bytes + (at - stretch.start), stretch.end - at,
					    &instruction);
		at += instruction.length;
	}
	return at <= address;
}

/* Where a syscall stands is read, with what reaches its cut by a branch of 1 byte: from the
 * beginning of the function, or of the gap. */
static void
read_segment(struct finder *finder, const struct vmt_code_segment *segment)
{
	for (uint64_t at = find_syscall(segment, 0); at < segment->length && finder->error == 0;
	     at = find_syscall(segment, at + 1)) {
		uint64_t address = segment->address + at;

		if (may_be_syscall(finder, address))
			read_around(finder, segment,
				    address - VMT_SITE_CUT_BYTES - VMT_NEAR_BRANCHES_BYTES,
				    address + VMT_NEAR_BRANCHES_BYTES);
	}
}

/* -- what leads where ----------------------------------------------------------------------------
 * */

/* Whether its straight run tells its number, unless something leads into that. */
static bool
has_number_before(const struct vmt_site_candidate *candidate)
{
	return !candidate->is_constant && candidate->number_from < candidate->syscall;
}

static void
watch(struct finder *finder, struct vmt_site_candidate *candidate)
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
	struct vmt_site_candidate *candidates = candidates_of(finder);
	const struct vmt_unknown_code unknown = {addresses_of(&finder->unknown),
						 finder->unknown.count};

	for (size_t i = 0; i < finder->candidates.count && finder->error == 0; i++) {
		candidates[i].verdict = vmt_site_judge(finder->map, &unknown, &candidates[i]);
		candidates[i].watch = NO_WATCH;
		if (candidates[i].verdict == VMT_SITE_CUT || has_number_before(&candidates[i]))
			watch(finder, &candidates[i]);
	}
}

/* Go makes tables of whole addresses: in a program of Go alone there are none of distances. */
static bool
may_have_tables(struct finder *finder)
{
	size_t i = 0;

	while (i < finder->candidates.count && candidates_of(finder)[i].verdict != VMT_SITE_GO_FORM)
		i++;
	return i == finder->candidates.count || finder->map->has_frames;
}

static void
note_branches(struct finder *finder, const struct list *branches)
{
	for (size_t i = 0; i < branches->count; i++)
		vmt_code_jumps_note(watches_of(finder), finder->watches.count,
				    addresses_of(branches)[i]);
}

static bool
knows_number(const struct vmt_site_candidate *candidate, const struct vmt_code_watch *watch)
{
	return candidate->is_constant ||
	       (has_number_before(candidate) && watch->last_hit <= candidate->number_from &&
		!watch->is_high_hit);
}

/* Where nothing but the way back of its loop leads behind the number. */
static void
settle_loops(struct finder *finder)
{
	struct vmt_site_candidate *candidates = candidates_of(finder);

	for (size_t i = 0; i < finder->candidates.count; i++) {
		struct vmt_site_candidate *candidate = &candidates[i];

		if (candidate->is_loop && candidate->watch != NO_WATCH &&
		    !is_wanted(finder, candidate->number) &&
		    knows_number(candidate, &watches_of(finder)[candidate->watch]))
			candidate->is_constant = true;
	}
}

static void
find_jumps(struct finder *finder)
{
	struct vmt_code_watch *watches = watches_of(finder);
	size_t count = finder->watches.count;

	vmt_code_jumps_find(finder->map, watches, count);
	note_branches(finder, &finder->branches);
	for (size_t i = 0; i < finder->tables.count; i++)
		vmt_code_jumps_note_table(finder->map, watches, count,
					  addresses_of(&finder->tables)[i]);
	/* Code that is split names the table in one part, and is cut in another. */
	if (may_have_tables(finder))
		vmt_code_jumps_find_tables(finder->map, watches, count);
	settle_loops(finder);
	note_branches(finder, &finder->loops);
}

static uint8_t
verdict_by_jumps(const struct vmt_site_candidate *candidate, const struct vmt_code_watch *watch)
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
write_site(const struct finder *finder, const struct vmt_site_candidate *candidate,
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
	const struct vmt_site_candidate *candidates = candidates_of(finder);
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
	vmt_buffer_free(&finder->loops.buffer);
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
