/* Processes that are called alike: a figure is said of each only where each has it. */
#include "tools/model/tree/tree_groups.h"
#include "tools/render/tree_json.h"
#include "tools/render/tree_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define UNKNOWN VMT_FIGURE_UNKNOWN

static char name[] = "a.vmt", title[] = "worker", exe[] = "/bin/worker";
static struct vmt_tree_process processes[3];
static struct vmt_tree_family family;
static struct vmt_tree tree = {
    .processes = processes, .count = 3, .families = &family, .family_count = 1};

/* Three that were there, each with a snapshot; private memory of the first as given, in MiB. */
static void
begin(uint64_t first_mib, uint64_t second_mib, uint64_t third_mib)
{
	const uint64_t mib[3] = {first_mib, second_mib, third_mib};

	memset(processes, 0, sizeof(processes));
	family = (struct vmt_tree_family){.traces = 3, .there = 3};
	for (size_t i = 0; i < 3; i++) {
		uint64_t bytes = mib[i] == UNKNOWN ? UNKNOWN : mib[i] * MIB;

		processes[i] = (struct vmt_tree_process){.name = name,
							 .title = title,
							 .exe = exe,
							 .end = "exit",
							 .parent = i == 0 ? VMT_TREE_NONE : 0,
							 .is_there = true,
							 .has_snapshot = true,
							 .continued = VMT_TREE_NONE};
		processes[i].at.rss_bytes = 20 * MIB;
		processes[i].at.private_bytes = bytes;
		processes[i].at.shared_bytes = UNKNOWN;
		processes[i].at.proportional_bytes = bytes;
	}
}

static char *said;
static size_t said_bytes;

static void
say(bool as_json)
{
	FILE *out = open_memstream(&said, &said_bytes);
	struct vmt_err err = {""};

	assert_non_null(out);
	tree.group_count = 0;
	assert_true(vmt_tree_groups_make(&tree, VMT_TREE_BY_TITLE));
	assert_int_equal(tree.group_count, 1);
	if (as_json)
		assert_int_equal(vmt_tree_json_print(&tree, NULL, 10, out, &err), 0);
	else
		vmt_tree_text_print(&tree, &(struct vmt_tree_text_options){
					       .layout = {.out = out, .columns = 200}, .top = 10});
	assert_int_equal(fclose(out), 0);
	vmt_tree_groups_free(&tree);
}

static void
assert_text(const char *words)
{
	say(false);
	if (!strstr(said, words))
		fail_msg("%s", said);
	free(said);
}

/* Without blanks and line breaks. */
static void
assert_json(const char *words)
{
	size_t length = 0;

	say(true);
	for (const char *at = said; *at; at++)
		if (*at != ' ' && *at != '\n')
			said[length++] = *at;
	said[length] = '\0';
	if (!strstr(strstr(said, "\"groups\""), words))
		fail_msg("%s", said);
	free(said);
}

static void
says_each_where_each_is_known(void **state)
{
	(void)state;
	begin(11, 16, 9);
	assert_text("3 times worker, 9 MiB to 16 MiB private each, 36 MiB together (Pss); largest");
	assert_json("\"least_private_bytes\":9437184,\"most_private_bytes\":16777216,");
}

static void
says_of_how_many_it_knows(void **state)
{
	(void)state;
	begin(UNKNOWN, 4, UNKNOWN);
	assert_text("3 times worker, 4 MiB private (1 of 3 is known); largest");
	assert_json("\"private_bytes\":null,\"least_private_bytes\":null,"
		    "\"most_private_bytes\":null,\"proportional_bytes\":null,");
	begin(3, 4, UNKNOWN);
	assert_text("3 times worker, 3 MiB to 4 MiB private (2 of 3 are known); largest");
	begin(UNKNOWN, UNKNOWN, UNKNOWN);
	assert_text("3 times worker; largest");
	assert_json("\"least_private_bytes\":null,\"most_private_bytes\":null,");
}

/* One that was there and has no snapshot is one of those that were there. */
static void
counts_who_has_no_snapshot(void **state)
{
	(void)state;
	begin(3, 3, 0);
	processes[2].has_snapshot = false;
	assert_text("3 times worker, 3 MiB private (2 of 3 are known); largest");
	assert_json("\"there\":3,");
	processes[2].is_there = false;
	assert_text("3 times worker, 3 MiB private each, 6 MiB together (Pss); 2 of them then;");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(says_each_where_each_is_known),
	    cmocka_unit_test(says_of_how_many_it_knows),
	    cmocka_unit_test(counts_who_has_no_snapshot),
	};

	return cmocka_run_group_tests_name("tree_groups", tests, NULL, NULL);
}
