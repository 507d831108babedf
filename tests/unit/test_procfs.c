#include "base/procfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
parse(const char *line, struct vmt_mapping *mapping)
{
	return vmt_procfs_parse_mapping(line, strlen(line), mapping);
}

static void
parses_a_file_mapping(void **state)
{
	struct vmt_mapping mapping;

	(void)state;
	assert_true(parse("7f00dead0000-7f00dead2000 r-xs 0000a000 fd:01 131   /a dir/b (deleted)",
			  &mapping));
	assert_true(mapping.start == UINT64_C(0x7f00dead0000));
	assert_int_equal(mapping.end - mapping.start, 0x2000);
	assert_int_equal(mapping.protection, PROT_READ | PROT_EXEC);
	assert_int_equal(mapping.shared, 1);
	assert_int_equal(mapping.file_offset, 0xa000);
	assert_int_equal(mapping.device, 0xfd << 20 | 1);
	assert_int_equal(mapping.inode, 131);
	assert_int_equal(mapping.path_bytes, strlen("/a dir/b (deleted)"));
	assert_memory_equal(mapping.path, "/a dir/b (deleted)", mapping.path_bytes);
}

static void
parses_an_anonymous_mapping(void **state)
{
	struct vmt_mapping mapping;

	(void)state;
	assert_true(parse("ffffffffff600000-ffffffffff601000 ---p 00000000 00:00 0 ", &mapping));
	assert_int_equal(mapping.protection, PROT_NONE);
	assert_int_equal(mapping.shared, 0);
	assert_int_equal(mapping.path_bytes, 0);
}

static void
refuses_malformed_lines(void **state)
{
	static const char *const lines[] = {
	    "",
	    "1000",
	    "1000-",
	    "2000-1000 r--p 0 0:0 0",
	    "1000-1000 r--p 0 0:0 0",
	    "1000-2000 r--p",
	    "1000-2000 r--pp 0 0:0 0",
	    "1000-2000 r--p 0 00 0",
	    "1000-2000 r--p 0 0:0",
	    "10000000000000000-2 r--p 0 0:0 0",
	};
	struct vmt_mapping mapping;

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(parse(lines[i], &mapping));
}

struct count {
	unsigned visits;
	unsigned stop_after;
	uint64_t wanted; /* an address */
	unsigned hits;
};

static bool
count_mapping(void *context, const struct vmt_mapping *mapping)
{
	struct count *count = context;

	count->visits++;
	count->hits += mapping->start <= count->wanted && count->wanted < mapping->end;
	return count->visits != count->stop_after;
}

static void
visits_whole_lines_only(void **state)
{
	static const char text[] =
	    "1000-2000 r--p 0 0:0 0\nbroken\n3000-4000 r--p 0 0:0 0\n5000-60";
	struct count count = {0};

	(void)state;
	assert_int_equal(vmt_procfs_each_mapping(text, strlen(text), count_mapping, &count),
			 strlen(text) - strlen("5000-60"));
	assert_int_equal(count.visits, 2);
	count = (struct count){.stop_after = 1};
	vmt_procfs_each_mapping(text, strlen(text), count_mapping, &count);
	assert_int_equal(count.visits, 1);
}

static void
walks_its_own_maps_through_a_small_buffer(void **state)
{
	static char buffer[VMT_PROCFS_LINE_BYTES];
	struct count count = {.wanted = (uintptr_t)buffer};
	int fd = vmt_procfs_open(0, "maps");

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), count_mapping, &count),
			 0);
	assert_int_equal(count.hits, 1);
	assert_true(count.visits > 5);
	close(fd);
}

static void
parses_stat_of_a_process_with_a_nasty_name(void **state)
{
	static const char text[] =
	    "17 (a) Z 9 (b) ) S 3 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 4 0 8112 9 10 11 12 13 "
	    "14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 2304\n";
	struct vmt_procfs_stat stat;

	(void)state;
	assert_true(vmt_procfs_parse_stat(text, strlen(text), &stat));
	assert_int_equal(stat.state, 'S');
	assert_int_equal(stat.parent_pid, 3);
	assert_int_equal(stat.flags, 4194560);
	assert_int_equal(stat.minor_faults, 1);
	assert_int_equal(stat.children_faults, 2);
	assert_int_equal(stat.major_faults, 3);
	assert_int_equal(stat.threads, 4);
	assert_int_equal(stat.start_ticks, 8112);
	assert_int_equal(stat.exit_code, 2304);
	assert_false(vmt_procfs_parse_stat("17 (x) S 3", 10, &stat));
	assert_false(vmt_procfs_parse_stat("", 0, &stat));
}

static void
sees_a_zombies_exit_code(void **state)
{
	struct vmt_procfs_stat stat;
	siginfo_t info;
	pid_t pid = fork();
	int fd;

	(void)state;
	if (pid == 0)
		_exit(9);
	fd = vmt_procfs_open((uint32_t)pid, "stat");
	assert_true(fd >= 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(vmt_procfs_read_stat(fd, &stat));
	assert_int_equal(stat.state, 'Z');
	assert_int_equal(stat.parent_pid, getpid());
	assert_int_equal(stat.exit_code, 9 << 8);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(vmt_procfs_read_stat(fd, &stat));
	close(fd);
}

static void
parses_statm_and_rollup(void **state)
{
	static const char rollup_text[] =
	    "1000-2000 ---p 00000000 00:00 0  [rollup]\nRss:      20 kB\nPss:   3 kB\nPss_Anon: 2 "
	    "kB\n"
	    "Shared_Clean:   4 kB\nShared_Dirty:  0 kB\nPrivate_Clean: 12 kB\n"
	    "Private_Dirty:  4 kB\n"
	    "LazyFree:      8 kB\nAnonHugePages:   2048 kB\nShmemPmdMapped:        4 kB\n"
	    "FilePmdMapped:      0 kB\nSwap:      12 kB\nSwapPss:   1 kB\n";
	struct vmt_procfs_rollup rollup;
	struct vmt_procfs_statm statm;

	(void)state;
	assert_true(vmt_procfs_parse_statm("100 20 3 1 0 5 0\n", 17, &statm));
	assert_int_equal(statm.virtual_pages, 100);
	assert_int_equal(statm.resident_pages, 20);
	assert_int_equal(statm.shared_pages, 3);
	assert_false(vmt_procfs_parse_statm("100 20\n", 7, &statm));
	assert_true(vmt_procfs_parse_rollup(rollup_text, strlen(rollup_text), &rollup));
	assert_int_equal(rollup.rss_bytes, 20 * 1024);
	assert_int_equal(rollup.lazyfree_bytes, 8 * 1024);
	assert_int_equal(rollup.huge_bytes, 2052 * 1024);
	assert_int_equal(rollup.swap_bytes, 12 * 1024);
	assert_int_equal(rollup.proportional_bytes, 3 * 1024);
	assert_int_equal(rollup.proportional_anonymous_bytes, 2 * 1024);
	assert_int_equal(rollup.private_bytes, 16 * 1024);
	assert_int_equal(rollup.shared_bytes, 4 * 1024);
	assert_int_equal(rollup.anonymous_huge_bytes, 2048 * 1024);
	assert_true(rollup.locked_rss_bytes == VMT_PROCFS_UNKNOWN);
	assert_false(vmt_procfs_parse_rollup("Pss: 3 kB\n", 10, &rollup));
}

static void
parses_status(void **state)
{
	static const char text[] = "Name:\tx\nUid:\t1\t2\t3\t4294967294\nVmHWM:\t    64 "
				   "kB\nVmLck:\t       8 kB\nVmRSS:\t    60 kB\n"
				   "RssAnon:\t      20 kB\nRssFile:\t      28 kB\nRssShmem:\t"
				   "      12 kB\nVmPTE:\t      44 kB\nVmSwap:\t       4 kB\n"
				   "HugetlbPages:\t    2048 kB\nThreads:\t3\n";
	struct vmt_procfs_status status;

	(void)state;
	assert_true(vmt_procfs_parse_status(text, strlen(text), &status));
	assert_int_equal(status.anonymous_bytes, 20 * 1024);
	assert_int_equal(status.file_bytes, 28 * 1024);
	assert_int_equal(status.shared_memory_bytes, 12 * 1024);
	assert_int_equal(status.page_table_bytes, 44 * 1024);
	assert_int_equal(status.locked_bytes, 8 * 1024);
	assert_int_equal(status.peak_rss_bytes, 64 * 1024);
	assert_int_equal(status.swap_bytes, 4 * 1024);
	assert_int_equal(status.hugetlb_bytes, 2048 * 1024);
	assert_int_equal(status.threads, 3);
	assert_int_equal(status.file_user, 4294967294);
	assert_true(vmt_procfs_parse_status("Name:\tx\n", 8, &status));
	assert_true(status.anonymous_bytes == VMT_PROCFS_UNKNOWN);
	assert_true(status.peak_rss_bytes == VMT_PROCFS_UNKNOWN);
	assert_true(status.threads == VMT_PROCFS_UNKNOWN);
	assert_true(status.file_user == VMT_PROCFS_UNKNOWN);
	assert_true(vmt_procfs_parse_status("Uid:\t1\t2\t3\n", 11, &status));
	assert_true(status.file_user == VMT_PROCFS_UNKNOWN);
	assert_false(vmt_procfs_parse_status("", 0, &status));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parses_a_file_mapping),
	    cmocka_unit_test(parses_an_anonymous_mapping),
	    cmocka_unit_test(refuses_malformed_lines),
	    cmocka_unit_test(visits_whole_lines_only),
	    cmocka_unit_test(walks_its_own_maps_through_a_small_buffer),
	    cmocka_unit_test(parses_stat_of_a_process_with_a_nasty_name),
	    cmocka_unit_test(sees_a_zombies_exit_code),
	    cmocka_unit_test(parses_statm_and_rollup),
	    cmocka_unit_test(parses_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
