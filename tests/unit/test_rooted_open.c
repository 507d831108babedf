/* Does a file that is opened below a directory lie below it, whatever links say? */
#include "tools/read/elf/rooted_open.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/vmtrace-rooted-XXXXXX";
static char root[64];

static const char *
below(const char *path)
{
	static char whole[4][256];
	static unsigned next;
	char *text = whole[next++ % 4];

	snprintf(text, sizeof(whole[0]), "%s%s", directory, path);
	return text;
}

static void
write_file(const char *path, const char *text)
{
	int fd = open(below(path), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int
set_up(void **state)
{
	char absolute[128];

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(root, sizeof(root), "%s/root", directory);
	snprintf(absolute, sizeof(absolute), "%s/secret", directory);
	mkdir(below("/root"), 0700);
	mkdir(below("/root/usr"), 0700);
	mkdir(below("/root/usr/lib"), 0700);
	write_file("/secret", "outside");
	write_file("/root/usr/lib/file", "inside");
	write_file("/root/top", "top");
	symlink("/usr/lib", below("/root/lib")); /* absolute: of the root */
	symlink("usr/lib/file", below("/root/relative"));
	symlink("/../../../../usr/../top", below("/root/up"));
	symlink(absolute, below("/root/outside"));
	symlink("../../../../../../etc/passwd", below("/root/climbing"));
	symlink("loop", below("/root/loop"));
	symlink("/lib/file", below("/root/chained"));
	mkfifo(below("/root/fifo"), 0600);
	return 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

/* Both ways have one answer. */
static void
expect(const char *path, const char *text)
{
	for (int way = 0; way < 2; way++) {
		int at = open(root, O_PATH | O_DIRECTORY);
		int fd = way == 0 ? vmt_rooted_open(root, path, O_RDONLY | O_NONBLOCK)
				  : vmt_rooted_open_by_steps(at, path, O_RDONLY | O_NONBLOCK);
		char got[16] = "";

		close(at);
		if (!text) {
			assert_int_equal(fd, -1);
			continue;
		}
		assert_true(fd >= 0);
		assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(text));
		assert_string_equal(got, text);
		close(fd);
	}
}

static unsigned
open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void
paths_and_links_stay_below(void **state)
{
	unsigned before = open_descriptors();

	(void)state;
	expect("/usr/lib/file", "inside");
	expect("usr/lib/file", "inside");
	expect("//usr/./lib/../lib/file", "inside");
	expect("/lib/file", "inside");
	expect("/relative", "inside");
	expect("/chained", "inside");
	expect("/up", "top");
	expect("/../../../top", "top");
	expect("/usr/lib/../../../../top", "top");
	expect("/outside", NULL);
	expect("/climbing", NULL);
	expect("/../secret", NULL);
	expect("/loop", NULL);
	expect("/none", NULL);
	expect("/top/file", NULL);
	expect("", NULL);
	assert_int_equal(open_descriptors(), before);
}

static void
a_path_without_an_end_is_refused(void **state)
{
	char path[8192];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(path); i++)
		path[i] = i % 2 ? 'a' : '/';
	path[sizeof(path) - 1] = '\0';
	expect(path, NULL);
	memset(path, 'b', 300);
	path[300] = '\0';
	expect(path, NULL);
}

static void
without_a_root_it_is_open(void **state)
{
	int fd = vmt_rooted_open(NULL, below("/secret"), O_RDONLY);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(vmt_rooted_open(below("/none"), "/top", O_RDONLY), -1);
	assert_int_equal(errno, ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_and_links_stay_below),
	    cmocka_unit_test(a_path_without_an_end_is_refused),
	    cmocka_unit_test(without_a_root_it_is_open),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
