/* Whose child is who: by the fork's own word, by images of one process, by pids that lived then. */
#include "tools/model/tree/tree_links.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct vmt_tree_process all[8];

/* A process that lived from `start` to `end`. */
static void
put(size_t i, uint32_t pid, uint32_t parent_pid, int64_t start, int64_t end)
{
	all[i] = (struct vmt_tree_process){.pid = pid,
					   .parent_pid = parent_pid,
					   .start_ticks = (uint64_t)start,
					   .random_id = 100 + i,
					   .start_ns = start,
					   .end_ns = end,
					   .end = "exit"};
}

static void
forked(size_t i, size_t from)
{
	all[i].forked_from = all[from].random_id;
}

static void
assert_child(size_t i, size_t parent, enum vmt_tree_origin origin)
{
	assert_int_equal(all[i].parent, parent);
	assert_int_equal(all[i].origin, origin);
	if (parent != VMT_TREE_NONE)
		assert_int_equal(all[i].tree, all[parent].tree);
}

static void
finds_forks_images_and_children(void **state)
{
	(void)state;
	put(0, 10, 1, 100, 900);
	put(1, 11, 10, 200, 300); /* forked, then executed */
	forked(1, 0);
	put(2, 11, 10, 300, 800); /* what it executed */
	all[2].start_ticks = all[1].start_ticks;
	put(3, 12, 11, 400, 500); /* a child of that */
	put(4, 20, 1, 100, 900);  /* another tree */
	assert_int_equal(vmt_tree_links_find(all, 5), 2);
	assert_child(0, VMT_TREE_NONE, VMT_TREE_ROOT);
	assert_child(1, 0, VMT_TREE_FORK);
	assert_child(2, 1, VMT_TREE_EXEC);
	assert_child(3, 2, VMT_TREE_SPAWN);
	assert_child(4, VMT_TREE_NONE, VMT_TREE_ROOT);
	assert_int_not_equal(all[4].tree, all[0].tree);
}

/* A pid that is used again is another process: before it began and after it ended nobody is its
 * child. */
static void
knows_a_pid_by_its_time(void **state)
{
	(void)state;
	put(0, 10, 1, 100, 200);
	put(1, 10, 1, 500, 900);
	put(2, 11, 10, 150, 160);
	put(3, 12, 10, 600, 700);
	put(4, 13, 10, 300, 400);
	put(5, 14, 10, 650, 700);
	memset(all[5].boot_id, 1, sizeof(all[5].boot_id)); /* of another boot */
	assert_int_equal(vmt_tree_links_find(all, 6), 4);
	assert_child(2, 0, VMT_TREE_SPAWN);
	assert_child(3, 1, VMT_TREE_SPAWN);
	assert_child(4, VMT_TREE_NONE, VMT_TREE_ROOT);
	assert_child(5, VMT_TREE_NONE, VMT_TREE_ROOT);
	assert_false(all[3].is_ambiguous);
}

/* Two containers have a process 1 each. Which one is meant is told where pids are counted; where
 * it is not, nobody is taken. */
static void
takes_nobody_where_several_fit(void **state)
{
	(void)state;
	put(0, 1, 0, 100, 900);
	put(1, 1, 0, 110, 900);
	put(2, 7, 1, 300, 400);
	assert_int_equal(vmt_tree_links_find(all, 3), 3);
	assert_true(all[2].is_ambiguous);
	assert_child(2, VMT_TREE_NONE, VMT_TREE_ROOT);
	put(2, 7, 1, 300, 400);
	all[0].namespace = 5;
	all[1].namespace = all[2].namespace = 6;
	assert_int_equal(vmt_tree_links_find(all, 3), 2);
	assert_false(all[2].is_ambiguous);
	assert_child(2, 1, VMT_TREE_SPAWN);
	/* A copy of the parent's trace. */
	put(0, 10, 1, 100, 900);
	put(1, 10, 1, 100, 900);
	all[1].random_id = all[0].random_id;
	put(2, 11, 10, 300, 400);
	forked(2, 0);
	assert_int_equal(vmt_tree_links_find(all, 3), 3);
	assert_true(all[2].is_ambiguous);
}

/* As no program writes them. */
static void
ends_where_traces_name_one_another(void **state)
{
	(void)state;
	put(0, 10, 1, 100, 900);
	put(1, 11, 1, 100, 900);
	put(2, 12, 1, 100, 900);
	put(3, 13, 1, 100, 900);
	forked(0, 1);
	forked(1, 2);
	forked(2, 0);
	forked(3, 3);
	assert_int_equal(vmt_tree_links_find(all, 4), 2);
	assert_int_equal((all[0].parent == VMT_TREE_NONE) + (all[1].parent == VMT_TREE_NONE) +
			     (all[2].parent == VMT_TREE_NONE),
			 1);
	assert_int_equal(all[0].tree, all[2].tree);
	assert_int_equal(vmt_tree_links_find(all, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_forks_images_and_children),
	    cmocka_unit_test(knows_a_pid_by_its_time),
	    cmocka_unit_test(takes_nobody_where_several_fit),
	    cmocka_unit_test(ends_where_traces_name_one_another),
	};

	return cmocka_run_group_tests_name("tree_links", tests, NULL, NULL);
}
