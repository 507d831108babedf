/* Tries to execute, with pointers that point nowhere among others: bad_exec PROGRAM. Prints what
 * became of each try, none of which executes: PROGRAM is executed with a bad list alone, and asked
 * for (Linux 6.14) with good ones. */
#include "tests/target/truth.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000
#endif

extern char **environ;

static char *none[] = {NULL};

static void
say(const char *what, int which, long result)
{
	int error = errno;

	printf("%s %d: %ld %d\n", what, which, result, error);
	fflush(stdout);
}

/* libc reads the arguments itself. */
static int
spawn(const char *path, char *const environment[])
{
	pid_t child;

	return posix_spawn(&child, path, NULL, NULL, none, environment);
}

static NOINLINE void
try_path(int which, const char *path, char *const argv[], int directory)
{
	say("execve", which, execve(path, argv, environ));
	say("execv", which, execv(path, argv));
	say("execle", which, execle(path, "x", (char *)NULL, environ));
	say("execveat", which, execveat(AT_FDCWD, path, argv, environ, 0));
	say("execveat below", which, execveat(directory, path, argv, environ, 0));
	say("syscall execve", which, syscall(SYS_execve, path, argv, environ));
	say("syscall execveat", which,
	    syscall(SYS_execveat, directory, path, argv, environ, AT_EMPTY_PATH));
	say("posix_spawn", which, spawn(path, environ));
}

int
main(int argc, char **argv)
{
	long page_bytes = sysconf(_SC_PAGESIZE);
	char *unmapped =
	    mmap(NULL, (size_t)page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char **volatile bad_list = (char **)8; /* NOLINT(performance-no-int-to-ptr) */
	int directory = open("/", O_RDONLY | O_DIRECTORY);
	int program;

	if (argc < 2 || unmapped == MAP_FAILED || directory < 0)
		return 1;
	munmap(unmapped, (size_t)page_bytes);
	program = open(argv[1], O_RDONLY);
	try_path(1, (const char *)8, none, directory); /* NOLINT(performance-no-int-to-ptr) */
	try_path(2, unmapped, none, directory);
	try_path(3, NULL, none, directory);
	try_path(4, "", none, directory);
	try_path(5, "/nowhere/at/all", NULL, directory);
	try_path(6, "nowhere", bad_list, -1);
	try_path(7, (const char *)UINT64_MAX, none,
		 program); /* NOLINT(performance-no-int-to-ptr) */
	say("program", 1, execve(argv[1], bad_list, environ));
	say("program", 2, execve(argv[1], none, bad_list));
	say("program", 3, execveat(program, "", bad_list, environ, AT_EMPTY_PATH));
	say("program", 4, fexecve(program, bad_list, environ));
	say("program", 5, spawn(argv[1], bad_list));
	say("asked", 1, execveat(program, "", none, environ, AT_EMPTY_PATH | AT_EXECVE_CHECK));
	say("asked", 2, execveat(directory, argv[1], none, environ, AT_EXECVE_CHECK));
	say("searched", 1, execvp("", none));
	say("searched", 2, execvp("nowhere at all", bad_list));
	return 5;
}
