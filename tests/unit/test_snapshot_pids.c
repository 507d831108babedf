/*
 * test_snapshot_pids.c: are descendants found that were born later, and none of a process that has
 * ended?
 */
#include "tools/cmd/snapshot_pids.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static pid_t
make_child(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		for (;;)
			pause();
	}
	return child;
}

static void
end_child(pid_t child)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static bool
has(const struct vmt_snapshot_pids *pids, pid_t pid)
{
	for (size_t i = 0; i < pids->count; i++)
		if (pids->all[i] == (uint32_t)pid)
			return true;
	return false;
}

static void
read_family(struct vmt_snapshot_pids *pids, pid_t first, bool with_descendants)
{
	char word[16];
	char *words[] = {word};
	struct vmt_err err;

	snprintf(word, sizeof(word), "%d", (int)first);
	assert_int_equal(vmt_snapshot_pids_read(pids, words, 1, with_descendants, &err), 0);
}

static void
what_was_born_later_is_added(void **state)
{
	struct vmt_snapshot_pids pids;
	pid_t early = make_child();
	pid_t late;

	(void)state;
	read_family(&pids, getpid(), true);
	assert_true(has(&pids, early));
	assert_int_equal(pids.named, 1);
	late = make_child();
	assert_false(has(&pids, late));
	assert_int_equal(vmt_snapshot_pids_extend(&pids), 0);
	assert_true(has(&pids, late));
	assert_int_equal(pids.count, 3);
	assert_int_equal(vmt_snapshot_pids_extend(&pids), 0);
	assert_int_equal(pids.count, 3);
	vmt_snapshot_pids_free(&pids);
	end_child(early);
	end_child(late);
}

/* Its number may be another's by then. */
static void
who_began_at_another_time_has_no_descendants(void **state)
{
	struct vmt_snapshot_pids pids;
	pid_t child;

	(void)state;
	read_family(&pids, getpid(), false);
	assert_int_equal(pids.count, 1);
	pids.starts[0]++;
	child = make_child();
	assert_int_equal(vmt_snapshot_pids_extend(&pids), 0);
	assert_int_equal(pids.count, 1);
	pids.starts[0]--;
	assert_int_equal(vmt_snapshot_pids_extend(&pids), 0);
	assert_true(has(&pids, child));
	vmt_snapshot_pids_free(&pids);
	end_child(child);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_born_later_is_added),
	    cmocka_unit_test(who_began_at_another_time_has_no_descendants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
