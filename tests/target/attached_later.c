/*
 * What a process does after a recorder came into it. Tells "ready", then obeys a letter a line and
 * answers each with a line: m maps and unmaps a page, f installs a filter of system calls that
 * kills for all but a few, s starts a process in the same memory that maps and unmaps until the
 * end, p starts a thread that has the main thread's pointer. With it, t has the main thread move
 * ranges of 3 pages, and then the other one ranges of 5. a makes MANY mappings.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define STACK_BYTES 65536
#define MANY 3000

static char stack[STACK_BYTES];

static int
map_and_unmap(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return 1;
	page[0] = 1;
	return munmap(page, PAGE);
}

#define ALLOW(number)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                       \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int
close_in(void)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    ALLOW(SYS_read),
	    ALLOW(SYS_write),
	    ALLOW(SYS_mmap),
	    ALLOW(SYS_munmap),
	    ALLOW(SYS_exit_group),
	    ALLOW(SYS_rt_sigreturn),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0;
}

static int
run_beside(void *unused)
{
	(void)unused;
	while (map_and_unmap() == 0 && getppid() != 1)
		;
	return 1;
}

static volatile int is_turn;

/* There and back. */
static int
move(char **range, size_t pages)
{
	for (int i = 0; i < 3; i++) {
		*range = mremap(*range, pages * PAGE, (pages + 1) * PAGE, MREMAP_MAYMOVE);
		if (*range == MAP_FAILED)
			return 1;
		*range = mremap(*range, (pages + 1) * PAGE, pages * PAGE, MREMAP_MAYMOVE);
		if (*range == MAP_FAILED)
			return 1;
	}
	return 0;
}

static char *
take(size_t pages)
{
	return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Neighbours differ in what they allow, and so are not joined. */
static int
map_many(void)
{
	char *pages = take(MANY);

	if (pages == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < MANY; i += 2)
		if (mprotect(pages + i * PAGE, PAGE, PROT_READ) != 0)
			return 1;
	return 0;
}

static int
move_at_turn(void *unused)
{
	char *range = take(5);

	(void)unused;
	for (;; usleep(100)) {
		if (!is_turn)
			continue;
		if (move(&range, 5) != 0)
			_exit(3);
		is_turn = 0;
	}
	return 0;
}

static int
start_thread(void)
{
	const int flags =
	    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	int thread = clone(move_at_turn, stack + STACK_BYTES, flags, NULL);

	printf("%d\n", thread);
	return thread < 0;
}

static int
take_turns(void)
{
	static char *range;

	if (!range)
		range = take(3);
	if (move(&range, 3) != 0)
		return 1;
	is_turn = 1;
	while (is_turn)
		usleep(100);
	return 0;
}

int
main(void)
{
	char line[16];
	pid_t child = 0;

	setvbuf(stdout, NULL, _IOLBF, 4096);
	setvbuf(stdin, NULL, _IONBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		int failed = 1;

		if (line[0] == 'm')
			failed = map_and_unmap();
		else if (line[0] == 'a')
			failed = map_many();
		else if (line[0] == 'f')
			failed = close_in();
		else if (line[0] == 'p')
			failed = start_thread();
		else if (line[0] == 't')
			failed = take_turns();
		else if (line[0] == 's')
			failed = (child = clone(run_beside, stack + STACK_BYTES, CLONE_VM | SIGCHLD,
						NULL)) < 0;
		puts(failed ? "failed" : "done");
	}
	if (child > 0) {
		int status;

		/* Whether it was harmed meanwhile. */
		if (waitpid(child, &status, WNOHANG) != 0)
			_exit(2);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
	}
	_exit(0);
}
