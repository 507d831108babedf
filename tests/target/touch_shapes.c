/*
 * touch_shapes: page faults in shapes that one in 61 can't tell, or could get wrong
 *
 * Usage: touch_shapes KIND COUNT
 *   loop     COUNT times a region of 61 pages, of which first_pages touches 12 and other_pages 49
 *   threads  COUNT threads, one after the other, each of which touches 20 pages of one region; the
 *            first thread has touched 2000 of another
 *   prefork  COUNT children, one after the other, each of which touches 20 pages
 *
 * Waits for a line on standard input first. Says "ready", and "done" with what is touched resident,
 * until another line comes.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define LOOP_PAGES 61u
#define FIRST_PAGES 12u
#define THREAD_PAGES 20u
#define OWN_PAGES 2000u
#ifdef __clang__
#define APART __attribute__((noinline))
#else
#define APART __attribute__((noinline, noclone))
#endif

static volatile int sink;

APART static void
first_pages(volatile char *page)
{
	*page = 1;
	sink++;
}

APART static void
other_pages(volatile char *page)
{
	*page = 2;
	sink++;
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

static void
wait_for_line(const char *word)
{
	char byte;

	dprintf(STDOUT_FILENO, "%s\n", word);
	if (read(STDIN_FILENO, &byte, 1) != 1)
		_exit(1);
}

static void
loop(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *region = reserve_region(LOOP_PAGES);

		for (size_t page = 0; page < LOOP_PAGES; page++)
			(page < FIRST_PAGES ? first_pages : other_pages)(region + page * PAGE);
	}
}

static void *
touch_few(void *from)
{
	for (size_t page = 0; page < THREAD_PAGES; page++)
		first_pages((char *)from + page * PAGE);
	return NULL;
}

static void
run_threads(size_t count)
{
	char *own = reserve_region(OWN_PAGES);
	char *region = reserve_region(count * THREAD_PAGES);

	for (size_t i = 0; i < OWN_PAGES; i++)
		other_pages(own + i * PAGE);
	for (size_t i = 0; i < count; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, touch_few, region + i * THREAD_PAGES * PAGE) != 0)
			_exit(1);
		pthread_join(thread, NULL);
	}
}

static void
prefork(size_t count)
{
	char *region = reserve_region(THREAD_PAGES);

	for (size_t i = 0; i < count; i++) {
		pid_t child = fork();

		if (child == 0) {
			touch_few(region);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

int
main(int argc, char **argv)
{
	size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

	if (count == 0)
		return 2;
	wait_for_line("ready");
	if (strcmp(argv[1], "loop") == 0)
		loop(count);
	else if (strcmp(argv[1], "threads") == 0)
		run_threads(count);
	else
		prefork(count);
	wait_for_line("done");
	return 0;
}
