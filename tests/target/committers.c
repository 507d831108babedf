/*
 * committers: one function reserves memory, others touch parts of it
 *
 * Usage: committers KIND PAGES
 *   story  fill_quarter touches a quarter of PAGES, fill_eighth an eighth behind it
 *   turns  eight functions take turns over all of PAGES, page by page
 *   fork   fill_quarter touches a quarter; a child is forked, which stands still; then rewrite_half
 *          writes to half of that quarter again
 *   child  the same, but the child does that: it says "child PID" first, and makes no memory call
 *   trim   fill_quarter touches all of PAGES in the heap, which glibc trims once they are freed; so
 *          three times; then fill_eighth touches all of them there
 *   heap   grow_half allocates and fills small blocks in the heap, half of PAGES, grow_quarter
 * more, a quarter of PAGES
 *
 * Works in pieces of 64 pages, and waits for a line on standard input before each: says "piece",
 * and at the end "done".
 */
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define PIECE 64u
#define TURNS 8u
#ifdef __clang__
#define APART __attribute__((noinline))
#else
#define APART __attribute__((noinline, noclone))
#endif

static char *region;
static volatile int sink;

/* The kernel counts the faults of each processor by itself: on one alone the samples do not depend
 * on where it runs when. */
static void
stay_on_one_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void
wait_for_line(const char *word)
{
	char byte;

	dprintf(STDOUT_FILENO, "%s\n", word);
	if (read(STDIN_FILENO, &byte, 1) != 1)
		_exit(1);
}

APART static char *
reserve_region(size_t pages)
{
	char *made =
	    mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (made == MAP_FAILED || madvise(made, pages * PAGE, MADV_NOHUGEPAGE) != 0)
		_exit(1);
	return made;
}

APART static void
fill_quarter(char *from, size_t pages)
{
	memset(from, 1, pages * PAGE);
	sink++;
}

APART static void
fill_eighth(char *from, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		((volatile char *)from)[i * PAGE] = 1;
	sink++;
}

APART static void
rewrite_half(char *from, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		((volatile char *)from)[i * PAGE] = 2;
	sink++;
}

#define TURN(n)                                                                                    \
	APART static void turn_##n(volatile char *page)                                            \
	{                                                                                          \
		*page = n;                                                                         \
		sink++;                                                                            \
	}
TURN(0)
TURN(1)
TURN(2)
TURN(3)
TURN(4)
TURN(5)
TURN(6)
TURN(7)

static void
in_pieces(void (*fill)(char *, size_t), size_t first, size_t pages)
{
	for (size_t at = 0; at < pages; at += PIECE) {
		wait_for_line("piece");
		fill(region + (first + at) * PAGE, pages - at < PIECE ? pages - at : PIECE);
	}
}

static void
take_turns(char *from, size_t pages)
{
	static void (*const turns[TURNS])(volatile char *) = {turn_0, turn_1, turn_2, turn_3,
							      turn_4, turn_5, turn_6, turn_7};

	for (size_t i = 0; i < pages; i++)
		turns[i % TURNS]((volatile char *)from + i * PAGE);
}

static void
fork_and_rewrite(size_t pages)
{
	pid_t child;

	in_pieces(fill_quarter, 0, pages / 4);
	wait_for_line("fork");
	child = fork();
	if (child == 0)
		for (;;)
			pause();
	in_pieces(rewrite_half, 0, pages / 8);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void
rewrite_in_child(size_t pages)
{
	char word[32];
	pid_t child;

	in_pieces(fill_quarter, 0, pages / 4);
	child = fork();
	if (child == 0) {
		snprintf(word, sizeof(word), "child %d", (int)getpid());
		wait_for_line(word);
		in_pieces(rewrite_half, 0, pages / 8);
		wait_for_line("written");
		syscall(SYS_exit_group, 0);
	}
	waitpid(child, NULL, 0);
}

APART static void *
allocate(size_t pages)
{
	return malloc(pages * PAGE);
}

static void
touch_and_trim(size_t pages)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
	for (unsigned i = 0; i < 4; i++) {
		region = allocate(pages);
		if (!region)
			_exit(1);
		in_pieces(i < 3 ? fill_quarter : fill_eighth, 0, pages);
		if (i < 3)
			free(region);
	}
}

static void
grow(size_t pages)
{
	for (size_t bytes = 0; bytes < pages * PAGE; bytes += 400) {
		char *block = malloc(400 - sizeof(size_t));

		if (!block)
			_exit(1);
		memset(block, 1, 400 - sizeof(size_t));
	}
}

APART static void
grow_half(char *unused, size_t pages)
{
	(void)unused;
	grow(pages);
	sink++;
}

APART static void
grow_quarter(char *unused, size_t pages)
{
	(void)unused;
	grow(pages);
	sink += 2;
}

int
main(int argc, char **argv)
{
	size_t pages = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

	if (pages == 0)
		return 2;
	stay_on_one_processor();
	if (strcmp(argv[1], "trim") == 0) {
		touch_and_trim(pages);
		wait_for_line("done");
		return 0;
	}
	region = reserve_region(pages);
	if (strcmp(argv[1], "story") == 0) {
		in_pieces(fill_quarter, 0, pages / 4);
		in_pieces(fill_eighth, pages / 2, pages / 8);
	} else if (strcmp(argv[1], "turns") == 0) {
		in_pieces(take_turns, 0, pages);
	} else if (strcmp(argv[1], "heap") == 0) {
		in_pieces(grow_half, 0, pages / 2);
		in_pieces(grow_quarter, 0, pages / 4);
	} else if (strcmp(argv[1], "child") == 0) {
		rewrite_in_child(pages);
	} else {
		fork_and_rewrite(pages);
	}
	wait_for_line("done");
	return 0;
}
