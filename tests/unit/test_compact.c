/* Which finished trace is made small where it lies, and which by a copy. */
#include "tests/unit/collector_place.h"

#include "base/ticks.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define OLD_NS UINT64_C(60000000000)

/* Child: a trace that began `age_ns` ago, with one event; who reads it has it open. */
static void
child(const struct place *place, uint64_t age_ns, ino_t *inode)
{
	struct fixture_trace trace;
	struct stat status;

	fixture_make(&trace, place->trace_path, PLACE_CAPACITY, 77);
	trace.head->clock_start.monotonic_ns = vmt_ticks_monotonic_ns() - age_ns;
	if (stat(place->trace_path, &status) != 0 ||
	    !vmt_session_announce(place->session, (uint32_t)getpid(), 77, place->trace_path))
		_exit(99);
	*inode = status.st_ino;
	place_await_collector(&trace);
	if (!fixture_put_map(&trace, 0, vmt_ticks_monotonic_ns(), 0x1000, VMT_EVENT_MMAP, 0))
		_exit(98);
	_exit(0);
}

/* Whether the trace kept its file. */
static bool
stays_in_place(uint64_t age_ns)
{
	struct place place;
	struct stat after;
	ino_t *inode =
	    mmap(NULL, sizeof(*inode), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	assert_ptr_not_equal(inode, MAP_FAILED);
	place_set_up(&place);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		child(&place, age_ns, inode);
	assert_int_equal(place_collect(&place, (uint32_t)pid), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat(place.trace_path, &after), 0);
	assert_true(after.st_size < 1 << 20);
	bool same = after.st_ino == *inode;

	place_tear_down(&place);
	munmap(inode, sizeof(*inode));
	return same;
}

/* Where a lease knows of all readers. */
static bool
leases_are_enough(void)
{
	struct statfs where;

	assert_int_equal(statfs("/tmp", &where), 0);
	return where.f_type == EXT4_SUPER_MAGIC || where.f_type == XFS_SUPER_MAGIC ||
	       where.f_type == BTRFS_SUPER_MAGIC || where.f_type == TMPFS_MAGIC;
}

static void
one_of_a_short_life_where_it_lies(void **state)
{
	(void)state;
	assert_int_equal(stays_in_place(0), leases_are_enough());
}

/* What the disk has of it by now stays until the small one is there as well. */
static void
one_of_a_long_life_by_a_copy(void **state)
{
	(void)state;
	assert_false(stays_in_place(OLD_NS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_of_a_short_life_where_it_lies),
	    cmocka_unit_test(one_of_a_long_life_by_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
