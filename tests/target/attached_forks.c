/* A program that forks while it is recorded. Each byte of its input makes a child that maps so many
 * MiB, answers with the byte and then waits; the byte 100: one that makes no memory call; 101: the
 * parent itself maps a MiB; 102: a child maps one, and then executes this program again, which
 * answers and waits; 103: a child that may not be traced maps one. At the end of the input each
 * child checks what it mapped, maps and unmaps once more, and ends; the program exits with 7, or
 * with 1 where a child found anything wrong. */
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define SILENT 100
#define PARENT 101
#define EXECUTES 102
#define CLOSED 103

static int ends[2]; /* children wait until nobody can write */

__attribute__((noinline)) static unsigned char *
grow(void)
{
	unsigned char *memory =
	    mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	memset(memory, 42, MIB);
	return memory;
}

static void
await_end(int fd)
{
	char nothing;

	while (read(fd, &nothing, 1) > 0)
		;
}

static void
execute(void)
{
	char fd[] = {(char)('0' + ends[0]), '\0'};

	grow();
	execl("/proc/self/exe", "executed", fd, (char *)NULL);
	_exit(5);
}

static void
be_executed(const char *fd)
{
	unsigned char byte = EXECUTES;

	if (write(1, &byte, 1) != 1)
		_exit(2);
	await_end(fd[0] - '0');
	_exit(0);
}

static void
be_a_child(unsigned char byte)
{
	unsigned char *held[SILENT] = {NULL};
	int count = byte == SILENT ? 0 : byte == CLOSED ? 1 : byte;

	close(ends[1]);
	if (byte == EXECUTES)
		execute();
	if (byte == CLOSED && prctl(PR_SET_DUMPABLE, 0) != 0)
		_exit(6);
	for (int i = 0; i < count; i++)
		held[i] = grow();
	if (write(1, &byte, 1) != 1)
		_exit(2);
	await_end(ends[0]);
	for (int i = 0; i < count; i++)
		for (size_t at = 0; at < MIB; at++)
			if (held[i][at] != 42)
				_exit(3);
	_exit(munmap(grow(), MIB) == 0 ? 0 : 4);
}

int
main(int argc, char **argv)
{
	unsigned char byte;
	int result = 7;
	int status;

	if (argc == 2)
		be_executed(argv[1]);
	if (pipe(ends) != 0)
		return 2;
	while (read(0, &byte, 1) == 1) {
		pid_t child = byte == PARENT ? -1 : fork();

		if (child == 0)
			be_a_child(byte);
		if (byte == PARENT && (memset(grow(), 1, MIB), write(1, &byte, 1)) != 1)
			return 3;
	}
	close(ends[1]);
	while (wait(&status) > 0)
		if (status != 0)
			result = 1;
	_exit(result);
}
