/* Closes every descriptor above 2, in the way that argv[1] says or one by one, as daemons do, opens
 * files of its own under the same numbers, goes on allocating, and finds in its files what it wrote
 * and nothing else. In the way "none_more" it has then used up what RLIMIT_NOFILE allows, which is
 * nothing, and a child of its does the same. */
#include "tests/target/truth.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define FILES 6

static NOINLINE char *
map_after_close(void)
{
	return truth_mapped(
	    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int
make_file(void)
{
	const char *directory = getenv("TMPDIR");
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/vmtrace-close.XXXXXX", directory ? directory : "/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		truth_die("mkstemp");
	unlink(path);
	return fd;
}

static void
close_all(const char *way)
{
	if (strcmp(way, "closefrom") == 0)
		closefrom(3);
	else if (strcmp(way, "close_range") == 0)
		close_range(3, ~0u, 0);
	else
		for (int fd = 3; fd < 4096; fd++)
			close(fd);
}

static void
work_in_child(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		truth_touch(map_after_close(), MIB, PAGE);
		for (int block = 0; block < 1000; block++)
			free(malloc(70000));
		_exit(7);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 7)
		truth_die("child");
}

int
main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "loop";
	bool none_more = strcmp(way, "none_more") == 0;
	static char found[64];
	int files[FILES];
	size_t committed = 0;

	close_all(way);
	for (int i = 0; i < FILES; i++) {
		files[i] = make_file();
		if (files[i] != 3 + i)
			truth_die("the lowest free descriptor");
		if (write(files[i], "mine\n", 5) != 5)
			truth_die("write");
	}
	if (none_more && setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0}) != 0)
		truth_die("setrlimit");
	for (int i = 0; i < 20; i++) {
		char *range = map_after_close();

		truth_touch(range, MIB, PAGE);
		committed += none_more ? MIB : truth_present(range, MIB);
		for (int block = 0; block < 1000; block++)
			free(malloc(70000));
	}
	if (none_more)
		work_in_child();
	for (int i = 0; i < FILES; i++) {
		ssize_t length = pread(files[i], found, sizeof(found), 0);

		if (length != 5 || memcmp(found, "mine\n", 5) != 0)
			truth_die("own file");
	}
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = "map_after_close",
	    .count = 20,
	    .live_count = 20,
	    .reserved_bytes = 20 * MIB,
	    .accessible_bytes = 20 * MIB,
	    .committed_bytes = committed,
	    .total_reserved_bytes = 20 * MIB,
	});
	return truth_end("close_all_fds");
}
