#include "inject/site_judge.h"

#include "format/go_forms.h"
#include "inject/instruction_length.h"
#include "inject/site_verdict.h"

#include <string.h>

#define AGREEMENT_BYTES 32u
#define DOUBT_BYTES 256u /* so near to unknown bytes, in a gap, nothing is a site */

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

static bool
has_unknown(const struct vmt_unknown_code *unknown, uint64_t low, uint64_t high)
{
	size_t first = 0;
	size_t end = unknown->count;

	while (first < end) {
		size_t half = first + (end - first) / 2;

		if (unknown->addresses[half] < low)
			first = half + 1;
		else
			end = half;
	}
	return first < unknown->count && unknown->addresses[first] < high;
}

/* Whether bytes that are no instruction lie in its function, or near it in a gap. */
static bool
is_doubtful(const struct vmt_code_map *map, const struct vmt_unknown_code *unknown,
	    const struct vmt_site_candidate *candidate)
{
	struct vmt_code_stretch stretch;

	if (!vmt_code_map_stretch(map, candidate->syscall, &stretch))
		return true;
	if (!stretch.is_function) {
		if (candidate->syscall - stretch.start > DOUBT_BYTES)
			stretch.start = candidate->syscall - DOUBT_BYTES;
		if (stretch.end - candidate->syscall > DOUBT_BYTES)
			stretch.end = candidate->syscall + DOUBT_BYTES;
	}
	return has_unknown(unknown, stretch.start, stretch.end);
}

/* Code between known functions may be data: there, what makes a number or arguments is code. */
static bool
is_code(const struct vmt_site_candidate *candidate)
{
	return candidate->is_in_function || candidate->number_from < candidate->syscall ||
	       candidate->has_arguments;
}

/* Whether reading from other places nearby comes upon the cut's first byte, too. Instructions that
 * are read from a wrong beginning soon fall in with the right ones; so where most others don't come
 * there, it is the bounds of the function that are wrong. */
static bool
is_agreed(const struct vmt_code_map *map, const struct vmt_site_candidate *candidate)
{
	uint32_t readings = 0;
	uint32_t agreeing = 0;

	for (uint64_t back = 1; back <= AGREEMENT_BYTES; back++) {
		uint64_t at = candidate->cut - back;
		struct vmt_instruction instruction = {.length = 1};

		while (at < candidate->cut && instruction.length > 0) {
			size_t room = 0;
			const uint8_t *bytes = vmt_code_map_bytes(map, at, &room);

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

uint8_t
vmt_site_judge(const struct vmt_code_map *map, const struct vmt_unknown_code *unknown,
	       const struct vmt_site_candidate *candidate)
{
	uint8_t verdict = verdict_by_form(map, candidate->syscall);

	if (verdict != VMT_SITE_CUT)
		return verdict;
	if (is_doubtful(map, unknown, candidate))
		return VMT_SITE_UNKNOWN_CODE;
	if (!is_code(candidate))
		return VMT_SITE_MAYBE_DATA;
	if (candidate->verdict != VMT_SITE_CUT)
		return candidate->verdict;
	return is_agreed(map, candidate) ? VMT_SITE_CUT : VMT_SITE_UNKNOWN_CODE;
}
