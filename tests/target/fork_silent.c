/*
 * fork_silent: a child of fork that calls nothing that is recorded, for as long as it is told to.
 *
 * The parent fills 16 MiB, attaches a System V segment, and forks; the child writes 4 of them anew,
 * unmaps more than there is, which the kernel refuses, and two pages that it inherited, one of them
 * by syscall(), detaches the segment twice, of which the kernel refuses the second, and one that
 * never was, and frees a block that it inherited, all of which opens no trace, says its pid and its
 * parent's on its standard output, and waits for the end of its standard input. Then it ends with
 * status 3. The parent waits for it, and ends with that status.
 *
 *   wait    no more than that
 *   late    at the end of its input the child maps 5 pages, and waits for the end of another
 *           descriptor, which the second argument names
 *   exec    the child executes cat
 *   brief   not so: as many children as the second argument says, one after the other, each of
 *           which allocates a small block and exits
 *   double  the program says its own pid and its parent's first, and waits for a line; then the
 *           child forks another, which does all that in its place, and ends at once. The program
 *           waits for the end of its standard input, and ends with status 3
 *   borrow  the child has its parent's memory (clone with CLONE_VM)
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1u << 20)

static char *memory;
static char *spare; /* two pages */
static void *segment;
static void *volatile block;

/* It goes with its last process. */
static void
attach(void)
{
	int id = shmget(IPC_PRIVATE, 3 * 4096, IPC_CREAT | 0600);

	segment = shmat(id, NULL, 0);
	if (segment == MAP_FAILED || shmctl(id, IPC_RMID, NULL) != 0)
		exit(9);
}

__attribute__((noinline)) static void
map_before(void)
{
	memory = mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		exit(9);
	memset(memory, 1, 16 * MIB);
	spare = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	block = malloc(100);
	attach();
}

static void
await_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

/* Not printf, which would allocate. */
static void
say_pid(void)
{
	char line[64];
	int bytes = snprintf(line, sizeof(line), "%d %d\n", (int)syscall(SYS_getpid),
			     (int)syscall(SYS_getppid));

	if (write(1, line, (size_t)bytes) != bytes)
		_exit(8);
}

static int
borrow(void *unused)
{
	(void)unused;
	say_pid();
	await_end(0);
	syscall(SYS_exit_group, 3);
	return 0;
}

static void
give_back(void)
{
	if (munmap((void *)4096, SIZE_MAX - 8191) != -1 || munmap(spare, 4096) != 0 ||
	    syscall(SYS_munmap, spare + 4096, 4096) != 0 || shmdt(segment) != 0 ||
	    shmdt(segment) != -1 || errno != EINVAL || syscall(SYS_shmdt, segment) != -1 ||
	    shmdt((void *)4097) != -1 || errno != EINVAL)
		_exit(7);
	free(block);
}

static void
be_child(const char *kind, int other)
{
	memset(memory, 2, 4 * MIB);
	give_back();
	say_pid();
	if (strcmp(kind, "exec") == 0)
		execlp("cat", "cat", (char *)NULL);
	await_end(0);
	if (strcmp(kind, "late") == 0) {
		if (mmap(NULL, (size_t)5 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		    MAP_FAILED)
			_exit(7);
		await_end(other);
	}
	_exit(3);
}

static int
make_brief(int count)
{
	int status = 0;

	while (count-- > 0 && status == 0) {
		pid_t child = fork();

		if (child == 0) {
			block = malloc(100);
			free(block);
			exit(0);
		}
		if (waitpid(child, &status, 0) != child)
			return 4;
	}
	return status;
}

static int
wait_for(pid_t child)
{
	int status = 0;

	if (waitpid(child, &status, 0) != child)
		return 6;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

int
main(int argc, char **argv)
{
	static char stack[65536];
	const char *kind = argc > 1 ? argv[1] : "wait";
	pid_t child;

	map_before();
	if (strcmp(kind, "brief") == 0)
		return make_brief(argc > 2 ? atoi(argv[2]) : 1);
	if (strcmp(kind, "double") == 0) {
		char line;

		say_pid();
		if (read(0, &line, 1) != 1)
			return 4;
	}
	child = strcmp(kind, "borrow") == 0
		    ? clone(borrow, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL)
		    : fork();
	if (child == 0 && strcmp(kind, "double") == 0 && fork() != 0)
		_exit(0);
	if (child == 0)
		be_child(kind, argc > 2 ? atoi(argv[2]) : 0);
	if (strcmp(kind, "double") != 0)
		return wait_for(child);
	if (wait_for(child) != 0)
		return 6;
	await_end(0);
	return 3;
}
