#include "preload/libc/program_identity.h"

#include "format/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Another note in front: the linker puts them all into one segment. */
static const struct {
	uint32_t name_bytes, content_bytes, type;
	char name[4];
	char content[20];
	struct vmt_command_note ours;
	uint32_t next[3];
} notes = {4, 20, 3, "GNU", "1234567890123456789", VMT_COMMAND_NOTE, {0, 0, 0}};

static void
the_note_is_found_among_others(void **state)
{
	(void)state;
	assert_true(vmt_program_identity_has_note(&notes, sizeof(notes), 4));
	assert_true(vmt_program_identity_has_note(&notes.ours, sizeof(notes.ours), 4));
	assert_false(vmt_program_identity_has_note(&notes, offsetof(__typeof__(notes), ours), 4));
	assert_false(vmt_program_identity_has_note(&notes, 0, 4));
}

static void
a_damaged_or_cut_note_is_none(void **state)
{
	unsigned char bytes[sizeof(notes)];
	const size_t start = offsetof(__typeof__(notes), ours);

	(void)state;
	for (size_t cut = start; cut < start + sizeof(notes.ours); cut++) {
		memcpy(bytes, &notes, sizeof(bytes));
		assert_false(vmt_program_identity_has_note(bytes, cut, 4));
		bytes[cut] ^= 1;
		assert_false(vmt_program_identity_has_note(bytes, sizeof(bytes), 4));
	}
	memset(bytes, 0xff, sizeof(bytes));
	assert_false(vmt_program_identity_has_note(bytes, sizeof(bytes), 4));
	assert_false(vmt_program_identity_has_note(bytes, sizeof(bytes), 8));
}

/* A test program is not the command. */
static void
other_programs_do_not_have_it(void **state)
{
	(void)state;
	assert_false(vmt_program_identity_is_command());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_note_is_found_among_others),
	    cmocka_unit_test(a_damaged_or_cut_note_is_none),
	    cmocka_unit_test(other_programs_do_not_have_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
