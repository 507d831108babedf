/* What is kept between runs, and what becomes of it in a place that somebody else can write to. */
#include "tools/read/symbols/disk_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "00ff-1234"

static char base[] = "/tmp/vmtrace-cache-XXXXXX";

static const char *
in_base(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
	return path;
}

/* In a directory of its own, fresh for each test. */
static int
begin(void **state)
{
	(void)state;
	umask(022);
	memcpy(base + strlen(base) - 6, "XXXXXX", 6);
	if (!mkdtemp(base))
		return 1;
	setenv("XDG_CACHE_HOME", in_base("all"), 1);
	setenv("HOME", base, 1);
	unsetenv("VMTRACE_CACHE");
	return 0;
}

static int
end(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

static void
write_text(const char *name, const char *text)
{
	struct vmt_disk_cache *cache = vmt_disk_cache_open();

	assert_non_null(cache);
	vmt_disk_cache_write(cache, name, text, strlen(text));
	vmt_disk_cache_close(cache);
}

/* What a new run reads under the name: the text, or NULL: nothing. */
static void
check_read(const char *name, const char *text)
{
	struct vmt_disk_cache *cache = vmt_disk_cache_open();
	size_t length = 0;
	unsigned char *bytes = cache ? vmt_disk_cache_read(cache, name, &length) : NULL;

	if (text) {
		assert_non_null(bytes);
		assert_int_equal(length, strlen(text));
		assert_memory_equal(bytes, text, length);
	} else {
		assert_null(bytes);
	}
	free(bytes);
	vmt_disk_cache_close(cache);
}

static void
what_was_written_is_read(void **state)
{
	struct stat status;

	(void)state;
	check_read(NAME, NULL);
	write_text(NAME, "one");
	check_read(NAME, "one");
	write_text(NAME, "another");
	check_read(NAME, "another");
	check_read("00ff-1235", NULL);
	assert_int_equal(stat(in_base("all"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(stat(in_base("all/vmtrace"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(stat(in_base("all/vmtrace/" NAME), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void
without_xdg_it_is_in_the_home(void **state)
{
	struct stat status;

	(void)state;
	setenv("XDG_CACHE_HOME", "not/absolute", 1);
	write_text(NAME, "one");
	assert_int_equal(stat(in_base(".cache/vmtrace/" NAME), &status), 0);
	unsetenv("XDG_CACHE_HOME");
	check_read(NAME, "one");
}

static void
there_may_be_none(void **state)
{
	(void)state;
	setenv("VMTRACE_CACHE", "0", 1);
	assert_null(vmt_disk_cache_open());
	assert_int_equal(access(in_base("all"), F_OK), -1);
	unsetenv("VMTRACE_CACHE");
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", in_base("absent"), 1);
	assert_null(vmt_disk_cache_open());
	setenv("HOME", "/", 1);
	setenv("XDG_CACHE_HOME", "/", 1);
	assert_null(vmt_disk_cache_open());
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	assert_null(vmt_disk_cache_open());
	setenv("HOME", "/proc", 1); /* nothing can be made there */
	assert_null(vmt_disk_cache_open());
}

/* Each byte of a file is changed in turn, and the file is cut after each. */
static void
damage_is_as_if_nothing_were_kept(void **state)
{
	const char *path = in_base("all/vmtrace/" NAME);
	unsigned char bytes[256];
	size_t length;
	FILE *file;

	(void)state;
	write_text(NAME, "some text that was kept");
	file = fopen(path, "r");
	assert_non_null(file);
	length = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	for (size_t i = 0; i < 2 * length; i++) {
		size_t kept = i < length ? length : i - length;

		file = fopen(path, "w");
		assert_non_null(file);
		if (i < length)
			bytes[i] ^= 0x10;
		assert_int_equal(fwrite(bytes, 1, kept, file), kept);
		if (i < length)
			bytes[i] ^= 0x10;
		fclose(file);
		check_read(NAME, NULL);
	}
	write_text(NAME, "again");
	check_read(NAME, "again");
}

static void
what_others_can_write_is_not_used(void **state)
{
	static const char *const directories[] = {"all", "all/vmtrace"};
	static const mode_t modes[] = {0770, 0720, 0702, 0777, 01777};

	(void)state;
	write_text(NAME, "one");
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++) {
		for (size_t k = 0; k < sizeof(modes) / sizeof(*modes); k++) {
			assert_int_equal(chmod(in_base(directories[i]), modes[k]), 0);
			assert_null(vmt_disk_cache_open());
		}
		assert_int_equal(chmod(in_base(directories[i]), 0700), 0);
		check_read(NAME, "one");
	}
	assert_int_equal(chmod(in_base("all/vmtrace/" NAME), 0620), 0);
	check_read(NAME, NULL);
	assert_int_equal(chmod(in_base("all/vmtrace/" NAME), 0600), 0);
	check_read(NAME, "one");
	assert_int_equal(link(in_base("all/vmtrace/" NAME), in_base("second")), 0);
	check_read(NAME, NULL);
}

static void
nothing_is_made_where_others_can_write(void **state)
{
	(void)state;
	assert_int_equal(chmod(base, 01777), 0);
	assert_null(vmt_disk_cache_open());
	assert_int_equal(access(in_base("all"), F_OK), -1);
}

static void
symbolic_links_are_not_followed(void **state)
{
	(void)state;
	write_text(NAME, "one");
	assert_int_equal(rename(in_base("all/vmtrace/" NAME), in_base("file")), 0);
	assert_int_equal(symlink(in_base("file"), in_base("all/vmtrace/" NAME)), 0);
	check_read(NAME, NULL);
	/* Writing replaces the link, not what it leads to. */
	write_text(NAME, "two");
	check_read(NAME, "two");
	assert_int_equal(rename(in_base("file"), in_base("all/vmtrace/" NAME)), 0);
	check_read(NAME, "one");
	assert_int_equal(rename(in_base("all/vmtrace"), in_base("moved")), 0);
	assert_int_equal(symlink(in_base("moved"), in_base("all/vmtrace")), 0);
	assert_null(vmt_disk_cache_open());
	assert_int_equal(unlink(in_base("all/vmtrace")), 0);
	assert_int_equal(rename(in_base("moved"), in_base("all/vmtrace")), 0);
	assert_int_equal(rename(in_base("all"), in_base("elsewhere")), 0);
	assert_int_equal(symlink(in_base("elsewhere"), in_base("all")), 0);
	assert_null(vmt_disk_cache_open());
}

static void
odd_files_are_passed_over(void **state)
{
	(void)state;
	write_text("00", "one");
	assert_int_equal(mkfifo(in_base("all/vmtrace/" NAME), 0600), 0);
	check_read(NAME, NULL); /* does not wait for a writer */
	write_text(NAME, "two");
	check_read(NAME, "two");
	assert_int_equal(mkdir(in_base("all/vmtrace/01"), 0700), 0);
	check_read("01", NULL);
	write_text("01", "three"); /* can't be, and is not told */
	check_read("01", NULL);
	check_read("00", "one");
}

/* Root with the environment of somebody else neither uses nor makes anything there. */
static void
somebody_elses_home_is_left_alone(void **state)
{
	static const char *const all[] = {"", "all", "all/vmtrace"};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(base, 1234, 1234), 0);
	assert_null(vmt_disk_cache_open());
	assert_int_equal(access(in_base("all"), F_OK), -1);
	assert_int_equal(chown(base, 0, 0), 0);
	write_text(NAME, "one");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chown(in_base(all[i]), 1234, 1234), 0);
		if (i > 0)
			assert_null(vmt_disk_cache_open());
		assert_int_equal(chown(in_base(all[i]), 0, 0), 0);
	}
	check_read(NAME, "one");
	assert_int_equal(chown(in_base("all/vmtrace/" NAME), 1234, 1234), 0);
	check_read(NAME, NULL);
}

static void
limits_on_files_raise_no_signal(void **state)
{
	pid_t child;
	int status;

	(void)state;
	write_text(NAME, "one");
	child = fork();
	if (child == 0) {
		struct rlimit limit = {16, 16};

		setrlimit(RLIMIT_FSIZE, &limit);
		write_text(NAME, "another");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	check_read(NAME, "one");
}

static size_t
count_files(void)
{
	DIR *stream = opendir(in_base("all/vmtrace"));
	size_t count = 0;

	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static void
set_age(const char *name, time_t seconds)
{
	struct timespec times[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};

	assert_int_equal(utimensat(AT_FDCWD, in_base(name), times, 0), 0);
}

static void
what_was_used_longest_ago_goes_first(void **state)
{
	size_t large = (size_t)30 << 20;
	size_t kept = (size_t)(VMT_DISK_CACHE_ALL_BYTES / ((uint64_t)30 << 20));
	char path[64];
	char name[16];

	(void)state;
	write_text("0", "small");
	/* Files of holes: they take no disk. */
	for (unsigned i = 1; i <= kept; i++) {
		snprintf(name, sizeof(name), "%x", i);
		snprintf(path, sizeof(path), "all/vmtrace/%x", i);
		write_text(name, "x");
		assert_int_equal(truncate(in_base(path), (off_t)large), 0);
		set_age(path, (time_t)(100 * i));
	}
	set_age("all/vmtrace/0", 150);
	write_text("ff", "y"); /* all fit */
	assert_int_equal(count_files(), kept + 2);
	assert_int_equal(truncate(in_base("all/vmtrace/ff"), (off_t)large), 0);
	write_text("fe", "y"); /* one must go */
	assert_int_equal(count_files(), kept + 2);
	snprintf(path, sizeof(path), "all/vmtrace/%zx", kept);
	assert_int_equal(access(in_base(path), F_OK), -1);
	check_read("0", "small");
	/* Reading is use. */
	set_age("all/vmtrace/0", 100000);
	check_read("0", "small");
	assert_int_equal(truncate(in_base("all/vmtrace/fe"), (off_t)large), 0);
	write_text("fd", "y");
	check_read("0", "small");
}

static void
what_is_not_ours_stays(void **state)
{
	(void)state;
	write_text(NAME, "one");
	assert_int_equal(close(open(in_base("all/vmtrace/README"), O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(close(open(in_base("all/vmtrace/unfinished-1"), O_CREAT | O_WRONLY, 0600)),
			 0);
	assert_int_equal(close(open(in_base("all/vmtrace/unfinished-2"), O_CREAT | O_WRONLY, 0600)),
			 0);
	set_age("all/vmtrace/README", 100000);
	set_age("all/vmtrace/unfinished-2", 100000);
	write_text(NAME, "two");
	assert_int_equal(access(in_base("all/vmtrace/README"), F_OK), 0);
	assert_int_equal(access(in_base("all/vmtrace/unfinished-1"), F_OK), 0);
	assert_int_equal(access(in_base("all/vmtrace/unfinished-2"), F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_written_is_read, begin, end),
	    cmocka_unit_test_setup_teardown(without_xdg_it_is_in_the_home, begin, end),
	    cmocka_unit_test_setup_teardown(there_may_be_none, begin, end),
	    cmocka_unit_test_setup_teardown(damage_is_as_if_nothing_were_kept, begin, end),
	    cmocka_unit_test_setup_teardown(what_others_can_write_is_not_used, begin, end),
	    cmocka_unit_test_setup_teardown(nothing_is_made_where_others_can_write, begin, end),
	    cmocka_unit_test_setup_teardown(symbolic_links_are_not_followed, begin, end),
	    cmocka_unit_test_setup_teardown(odd_files_are_passed_over, begin, end),
	    cmocka_unit_test_setup_teardown(somebody_elses_home_is_left_alone, begin, end),
	    cmocka_unit_test_setup_teardown(limits_on_files_raise_no_signal, begin, end),
	    cmocka_unit_test_setup_teardown(what_was_used_longest_ago_goes_first, begin, end),
	    cmocka_unit_test_setup_teardown(what_is_not_ours_stays, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
