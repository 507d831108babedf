/* What a diff says of malloc's blocks: live at the end, and freed at once. */
#include "tools/render/diff_text.h"

#include "format/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/diff_fixture.h"

static struct pair world;

static int
begin(void **state)
{
	(void)state;
	pair_begin(&world);
	return 0;
}

static void
blocks(struct pair_side *side, const char *stack, uint64_t count, uint64_t bytes,
       uint64_t temporary)
{
	struct vmt_site *site = pair_site(side, "malloc", stack, bytes + 1, bytes);

	site->end_count = count;
	site->end_bytes = bytes;
	site->temporary_count = temporary;
}

/* Of other calls. */
static void
mapping(struct pair_side *side, const char *stack)
{
	struct vmt_site *site = pair_site(side, "mmap", stack, MIB(64), MIB(64));

	site->end_count = VMT_FIGURE_UNKNOWN;
	site->temporary_count = VMT_FIGURE_UNKNOWN;
}

static char *
text_of(const struct vmt_diff *diff, size_t top)
{
	struct vmt_diff_text_options options = {
	    .layout = {.columns = 100, .whole = true, .utf8 = true}, .top = top, .callers = 1};
	char *text = NULL;
	size_t bytes = 0;

	options.layout.out = open_memstream(&text, &bytes);
	assert_non_null(options.layout.out);
	vmt_diff_text_blocks(diff, &options);
	assert_int_equal(fclose(options.layout.out), 0);
	return text;
}

static void
both_lists_begin_with_the_largest_change(void **state)
{
	struct vmt_diff *diff;
	char *text;

	(void)state;
	mapping(&world.a, "map main");
	mapping(&world.b, "map main");
	blocks(&world.a, "keep main", 10, MIB(8), 0);
	blocks(&world.b, "keep main", 10, MIB(8), 0);
	blocks(&world.a, "drop main", 20, MIB(3), 2000);
	blocks(&world.b, "drop main", 1, KIB(1), 9000);
	blocks(&world.b, "leak main", 50, MIB(5), 0);
	diff = pair_diff(&world);
	text = text_of(diff, 12);
	assert_string_equal(
	    text, "\nBlocks of malloc that are live at the end of each trace: change, A, B\n"
		  "      +2 MiB    11 MiB    13 MiB  all, of 3 call sites\n"
		  "      +5 MiB       0 B     5 MiB  new malloc leak main.go:20\n"
		  "                                  <- main main.go:20\n"
		  "      -3 MiB     3 MiB     1 KiB  malloc drop main.go:20\n"
		  "                                  <- main main.go:20\n"
		  "\nTemporary blocks, freed before their thread's next allocation: change, A, B\n"
		  "      +7,000     2,000     9,000  all, of 3 call sites\n"
		  "      +7,000     2,000     9,000  malloc drop main.go:20\n"
		  "                                  <- main main.go:20\n");
	free(text);
	vmt_diff_free(diff);
}

static void
what_is_not_shown_is_counted(void **state)
{
	struct vmt_diff *diff;
	char *text;

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		char stack[32];

		snprintf(stack, sizeof(stack), "keep%u main", i);
		blocks(&world.b, stack, 1, MIB(1) + i, 0);
	}
	diff = pair_diff(&world);
	text = text_of(diff, 12);
	assert_non_null(strstr(text, "all, of 8 call sites\n"));
	assert_non_null(strstr(text, "new malloc keep7 "));
	assert_non_null(strstr(text, "new malloc keep3 "));
	assert_null(strstr(text, "keep2 "));
	assert_non_null(strstr(text, "\n  and 3 more call sites\n"));
	free(text);
	text = text_of(diff, 1);
	assert_null(strstr(text, "keep6 "));
	assert_non_null(strstr(text, "\n  and 7 more call sites\n"));
	free(text);
	vmt_diff_free(diff);
}

/* Where one of the two recorded samples alone, which blocks were temporary is not known. */
static void
what_is_not_known_is_left_out(void **state)
{
	struct vmt_diff *diff;
	char *text;

	(void)state;
	blocks(&world.a, "keep main", 1, MIB(1), VMT_FIGURE_UNKNOWN);
	blocks(&world.b, "keep main", 1, MIB(1), 7);
	mapping(&world.a, "map main");
	diff = pair_diff(&world);
	text = text_of(diff, 12);
	assert_string_equal(
	    text, "\nBlocks of malloc that are live at the end of each trace: change, A, B\n"
		  "         0 B     1 MiB     1 MiB  all, of 1 call site: none differs by much\n");
	free(text);
	vmt_diff_free(diff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(both_lists_begin_with_the_largest_change, begin),
	    cmocka_unit_test_setup(what_is_not_shown_is_counted, begin),
	    cmocka_unit_test_setup(what_is_not_known_is_left_out, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
