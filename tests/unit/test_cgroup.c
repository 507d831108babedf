#include "collect/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
locate(struct vmt_cgroup *cgroup, const char *memberships, const char *mounts)
{
	return vmt_cgroup_locate(cgroup, vmt_text_of(memberships, strlen(memberships)),
				 vmt_text_of(mounts, strlen(mounts)), "memory");
}

static void
finds_the_unified_hierarchy(void **state)
{
	struct vmt_cgroup cgroup;

	(void)state;
	assert_true(
	    locate(&cgroup, "0::/user.slice/a:b\n",
		   "24 1 0:22 / /proc rw - proc proc rw\n"
		   "29 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"));
	assert_string_equal(cgroup.path, "/sys/fs/cgroup/user.slice/a:b");
	assert_int_equal(cgroup.version, 2);
	assert_int_equal(cgroup.mount_bytes, strlen("/sys/fs/cgroup"));
}

static void
prefers_v1_where_it_has_the_memory_controller(void **state)
{
	static const char mounts[] = "31 2 0:30 / /cg/unified rw - cgroup2 cgroup2 rw\n"
				     "32 2 0:31 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
				     "33 2 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n";
	struct vmt_cgroup cgroup;

	(void)state;
	assert_true(locate(&cgroup, "4:hugetlb,memory:/x/y\n1:cpu:/\n0::/\n", mounts));
	assert_string_equal(cgroup.path, "/cg/memory/x/y");
	assert_int_equal(cgroup.version, 1);
	/* v1 without memory: the unified hierarchy has it. */
	assert_true(locate(&cgroup, "1:cpu:/\n0::/\n", mounts));
	assert_string_equal(cgroup.path, "/cg/unified");
	assert_int_equal(cgroup.version, 2);
}

static void
takes_the_mounts_root_off_the_path(void **state)
{
	static const char mounts[] =
	    "33 2 0:32 /docker/1f /cg/memory rw - cgroup cgroup rw,memory\n";
	struct vmt_cgroup cgroup;

	(void)state;
	assert_true(locate(&cgroup, "4:memory:/docker/1f/job\n", mounts));
	assert_string_equal(cgroup.path, "/cg/memory/job");
	assert_true(locate(&cgroup, "4:memory:/docker/1f\n", mounts));
	assert_string_equal(cgroup.path, "/cg/memory");
	assert_true(locate(&cgroup, "4:memory:/docker/1ff\n", mounts));
	assert_string_equal(cgroup.path, "/cg/memory/docker/1ff");
}

static void
finds_nothing_where_there_is_nothing(void **state)
{
	struct vmt_cgroup cgroup;
	struct vmt_usage usage = {0};

	(void)state;
	assert_false(locate(&cgroup, "", ""));
	assert_false(locate(&cgroup, "4:memory:/a\n", "broken line\n1 2 3\n"));
	vmt_cgroup_read(&cgroup, &usage);
	assert_true(usage.cgroup_current_bytes == VMT_FIGURE_UNKNOWN);
	assert_true(usage.cgroup_peak_bytes == VMT_FIGURE_UNKNOWN);
	assert_true(usage.cgroup_limit_bytes == VMT_FIGURE_UNKNOWN);
	assert_true(usage.cgroup_anon_bytes == VMT_FIGURE_UNKNOWN);
	assert_true(usage.cgroup_file_bytes == VMT_FIGURE_UNKNOWN);
	assert_true(usage.cgroup_oom_kills == VMT_FIGURE_UNKNOWN);
}

static void
put_file(const char *directory, const char *name, const char *text)
{
	char path[VMT_CGROUP_PATH_BYTES + 64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
drop_file(const char *directory, const char *name)
{
	char path[VMT_CGROUP_PATH_BYTES + 64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(unlink(path), 0);
}

static void
reads_v2_figures_and_the_lowest_limit(void **state)
{
	char mount[] = "/tmp/vmt-cgroup-XXXXXX";
	struct vmt_cgroup cgroup = {.version = 2};
	struct vmt_usage usage = {.rss_bytes = 5};
	char parent[64];

	(void)state;
	assert_non_null(mkdtemp(mount));
	snprintf(parent, sizeof(parent), "%s/pod", mount);
	snprintf(cgroup.path, sizeof(cgroup.path), "%s/pod/job", mount);
	cgroup.mount_bytes = (uint32_t)strlen(mount);
	assert_int_equal(mkdir(parent, 0700), 0);
	assert_int_equal(mkdir(cgroup.path, 0700), 0);
	put_file(parent, "memory.max", "4096000\n");
	put_file(cgroup.path, "memory.max", "max\n");
	/* What reaches the limit is the use of all cgroups below it. */
	put_file(parent, "memory.current", "123456\n");
	put_file(parent, "memory.peak", "234567\n");
	put_file(parent, "memory.stat", "anon 100\nfile 200\nkernel 3\nshmem 50\n");
	put_file(cgroup.path, "memory.current", "1\n");
	put_file(cgroup.path, "memory.stat", "anon 2\nfile 3\n");
	put_file(cgroup.path, "memory.events", "low 0\noom 4\noom_kill 2\n");
	vmt_cgroup_read(&cgroup, &usage);
	assert_int_equal(usage.rss_bytes, 5);
	assert_int_equal(usage.cgroup_current_bytes, 123456);
	assert_int_equal(usage.cgroup_peak_bytes, 234567);
	assert_int_equal(usage.cgroup_limit_bytes, 4096000);
	assert_int_equal(usage.cgroup_anon_bytes, 100);
	assert_int_equal(usage.cgroup_file_bytes, 200);
	assert_int_equal(usage.cgroup_shmem_bytes, 50);
	assert_int_equal(usage.cgroup_oom_kills, 2);
	drop_file(parent, "memory.max");
	vmt_cgroup_read(&cgroup, &usage);
	assert_true(usage.cgroup_limit_bytes == VMT_FIGURE_UNKNOWN);
	assert_int_equal(usage.cgroup_current_bytes, 1);
	assert_int_equal(usage.cgroup_anon_bytes, 2);
	assert_true(usage.cgroup_shmem_bytes == VMT_FIGURE_UNKNOWN);
	/* A container in a namespace of its own has its limit at the mount. */
	put_file(mount, "memory.max", "8192000\n");
	vmt_cgroup_read(&cgroup, &usage);
	assert_int_equal(usage.cgroup_limit_bytes, 8192000);
	drop_file(mount, "memory.max");
	drop_file(cgroup.path, "memory.max");
	drop_file(cgroup.path, "memory.current");
	drop_file(parent, "memory.current");
	drop_file(parent, "memory.peak");
	drop_file(parent, "memory.stat");
	drop_file(cgroup.path, "memory.stat");
	drop_file(cgroup.path, "memory.events");
	assert_int_equal(rmdir(cgroup.path) | rmdir(parent) | rmdir(mount), 0);
}

static void
reads_v1_figures(void **state)
{
	char mount[] = "/tmp/vmt-cgroup-XXXXXX";
	struct vmt_cgroup cgroup = {.version = 1};
	struct vmt_usage usage = {0};

	(void)state;
	assert_non_null(mkdtemp(mount));
	snprintf(cgroup.path, sizeof(cgroup.path), "%s", mount);
	put_file(mount, "memory.usage_in_bytes", "777\n");
	put_file(mount, "memory.max_usage_in_bytes", "888\n");
	put_file(mount, "memory.stat",
		 "cache 1\nrss 2\nhierarchical_memory_limit 9223372036854771712\n"
		 "total_cache 30\ntotal_rss 40\n");
	put_file(mount, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n");
	vmt_cgroup_read(&cgroup, &usage);
	assert_int_equal(usage.cgroup_current_bytes, 777);
	assert_int_equal(usage.cgroup_peak_bytes, 888);
	assert_true(usage.cgroup_limit_bytes == VMT_FIGURE_UNKNOWN);
	assert_int_equal(usage.cgroup_anon_bytes, 40);
	assert_int_equal(usage.cgroup_file_bytes, 30);
	assert_int_equal(usage.cgroup_oom_kills, 6);
	assert_true(usage.cgroup_shmem_bytes == VMT_FIGURE_UNKNOWN);
	put_file(mount, "memory.stat", "hierarchical_memory_limit 8192\n");
	vmt_cgroup_read(&cgroup, &usage);
	assert_int_equal(usage.cgroup_limit_bytes, 8192);
	assert_true(usage.cgroup_anon_bytes == VMT_FIGURE_UNKNOWN);
	drop_file(mount, "memory.usage_in_bytes");
	drop_file(mount, "memory.max_usage_in_bytes");
	drop_file(mount, "memory.stat");
	drop_file(mount, "memory.oom_control");
	assert_int_equal(rmdir(mount), 0);
}

static void
finds_the_cpu_controller(void **state)
{
	static const char memberships[] = "4:memory:/m\n2:cpu,cpuacct:/c\n1:cpuset:/s\n0::/u\n";
	static const char mounts[] = "32 2 0:31 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n"
				     "33 2 0:32 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
	struct vmt_cgroup cgroup;

	(void)state;
	assert_true(vmt_cgroup_locate(&cgroup, vmt_text_of(memberships, strlen(memberships)),
				      vmt_text_of(mounts, strlen(mounts)), "cpu"));
	assert_string_equal(cgroup.path, "/cg/cpu/c");
	assert_int_equal(cgroup.version, 1);
}

static uint32_t
parse_quota(const char *quota, const char *period)
{
	return vmt_cgroup_parse_quota(vmt_text_of(quota, strlen(quota)),
				      vmt_text_of(period, strlen(period)));
}

static void
takes_a_quota_or_none(void **state)
{
	static const char *const none[][2] = {
	    {"max", "100000\n"},
	    {"-1\n", "100000\n"},
	    {"", "100000\n"},
	    {"50000\n", ""},
	    {"50000", "0\n"},
	    {"50000", "-1"},
	    {"x", "y"},
	    {"50000", "max"},
	    {"99999999999999999999", "1"},
	    {"50000", "18446744073709551615"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(parse_quota(none[i][0], none[i][1]), VMT_CPU_WHOLE);
	assert_int_equal(parse_quota("50000", " 100000\n"), 500);
	assert_int_equal(parse_quota("10000\n", "100000\n"), 100);
	assert_int_equal(parse_quota("1000\n", "1000000\n"), 1);
	assert_int_equal(parse_quota("0\n", "1000000\n"), 1);
	assert_int_equal(parse_quota("100000", "100000"), VMT_CPU_WHOLE);
	assert_int_equal(parse_quota("800000", "100000"), VMT_CPU_WHOLE);
}

static void
reads_the_lowest_quota_of_v2(void **state)
{
	char mount[] = "/tmp/vmt-cgroup-XXXXXX";
	struct vmt_cgroup cgroup = {.version = 2};

	(void)state;
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), VMT_CPU_WHOLE);
	assert_non_null(mkdtemp(mount));
	snprintf(cgroup.path, sizeof(cgroup.path), "%s/job", mount);
	cgroup.mount_bytes = (uint32_t)strlen(mount);
	assert_int_equal(mkdir(cgroup.path, 0700), 0);
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), VMT_CPU_WHOLE);
	put_file(cgroup.path, "cpu.max", "max 100000\n");
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), VMT_CPU_WHOLE);
	put_file(mount, "cpu.max", "20000 100000\n");
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), 200);
	put_file(cgroup.path, "cpu.max", "50000 100000\n");
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), 200);
	put_file(mount, "cpu.max", "garbage\n");
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), 500);
	drop_file(cgroup.path, "cpu.max");
	drop_file(mount, "cpu.max");
	assert_int_equal(rmdir(cgroup.path) | rmdir(mount), 0);
}

static void
reads_the_quota_of_v1(void **state)
{
	char mount[] = "/tmp/vmt-cgroup-XXXXXX";
	struct vmt_cgroup cgroup = {.version = 1};

	(void)state;
	assert_non_null(mkdtemp(mount));
	snprintf(cgroup.path, sizeof(cgroup.path), "%s", mount);
	cgroup.mount_bytes = (uint32_t)strlen(mount);
	put_file(mount, "cpu.cfs_quota_us", "25000\n");
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), VMT_CPU_WHOLE);
	put_file(mount, "cpu.cfs_period_us", "100000\n");
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), 250);
	put_file(mount, "cpu.cfs_quota_us", "-1\n");
	assert_int_equal(vmt_cgroup_read_cpu(&cgroup), VMT_CPU_WHOLE);
	drop_file(mount, "cpu.cfs_quota_us");
	drop_file(mount, "cpu.cfs_period_us");
	assert_int_equal(rmdir(mount), 0);
}

/* Whatever this system has: a directory that was found exists. */
static void
finds_its_own(void **state)
{
	struct vmt_cgroup cgroup;
	struct stat status;

	(void)state;
	if (!vmt_cgroup_find(&cgroup, 0, "memory")) {
		assert_string_equal(cgroup.path, "");
		return;
	}
	assert_int_equal(stat(cgroup.path, &status), 0);
	assert_true(S_ISDIR(status.st_mode));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_the_unified_hierarchy),
	    cmocka_unit_test(prefers_v1_where_it_has_the_memory_controller),
	    cmocka_unit_test(takes_the_mounts_root_off_the_path),
	    cmocka_unit_test(finds_nothing_where_there_is_nothing),
	    cmocka_unit_test(reads_v2_figures_and_the_lowest_limit),
	    cmocka_unit_test(reads_v1_figures),
	    cmocka_unit_test(finds_the_cpu_controller),
	    cmocka_unit_test(takes_a_quota_or_none),
	    cmocka_unit_test(reads_the_lowest_quota_of_v2),
	    cmocka_unit_test(reads_the_quota_of_v1),
	    cmocka_unit_test(finds_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
