/* Unmaps, page by page, whatever /proc/self/maps lists and is neither the program's, nor libc's,
 * nor libc's loader's, nor the kernel's. With "whole" the ranges as they are; with "cover" maps
 * something else in their places, with "move" moves them elsewhere and then something into their
 * places; with "beside" unmaps them whole while threads map and allocate, in 8 processes; with
 * "child" a fork child unmaps them whole, before it makes any other call; with "everything" a fork
 * child unmaps all that it has, its code too, and must end by that. Then goes on: maps, allocates,
 * frees, and ends by itself. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define RANGES 512

static struct {
	char *start;
	char *end;
} ranges[RANGES];

static char text[1 << 18];

static void
read_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
}

static int
is_needed(const char *line)
{
	return !strchr(line, '/') || strstr(line, "unmap_all") || strstr(line, "/libc") ||
	       strstr(line, "/ld-");
}

static size_t
find_ranges(void)
{
	size_t count = 0;
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line && count < RANGES;
	     line = strtok_r(NULL, "\n", &rest)) {
		unsigned long start;
		unsigned long end;

		if (is_needed(line) || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		ranges[count].start = (char *)start;
		ranges[count++].end = (char *)end;
	}
	return count;
}

static void
unmap(char *start, size_t length)
{
	munmap(start, length);
}

static void
unmap_pages(char *start, size_t length)
{
	for (size_t at = 0; at < length; at += 4096)
		munmap(start + at, 4096);
}

static void
cover(char *start, size_t length)
{
	mmap(start, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void
move(char *start, size_t length)
{
	char *other = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mremap(start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, other);
	mremap(other, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, start);
}

static void
take_ranges(size_t count, void (*take)(char *start, size_t length))
{
	for (size_t i = 0; i < count; i++)
		take(ranges[i].start, (size_t)(ranges[i].end - ranges[i].start));
}

static void
for_each_range(void (*take)(char *start, size_t length))
{
	read_maps();
	take_ranges(find_ranges(), take);
}

static void
go_on(void)
{
	for (int i = 0; i < 1000; i++) {
		void *block;
		char *page =
		    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		page[0] = 1;
		munmap(page, 4096);
		block = malloc(100000);
		memset(block, 1, 100000);
		free(block);
	}
}

static void
unmap_in_child(void)
{
	size_t count;
	int status;
	pid_t child;

	read_maps();
	count = find_ranges();
	child = fork();
	if (child == 0) {
		take_ranges(count, unmap);
		go_on();
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		exit(3);
}

/* Nobody says where the address space ends: the largest length that the kernel takes. */
static void
unmap_everything_in_child(void)
{
	const struct rlimit none = {0, 0};
	int status = 0;
	pid_t child;

	setrlimit(RLIMIT_CORE, &none);
	child = fork();
	if (child == 0) {
		for (size_t length = SIZE_MAX / 2 + 1; length > 4096; length /= 2)
			munmap(NULL, length - 4096);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGSEGV)
		exit(3);
}

static volatile int over;

static void *
keep_on(void *argument)
{
	while (!over)
		go_on();
	return argument;
}

static void
unmap_beside(void)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, keep_on, NULL);
	go_on();
	for_each_range(unmap);
	go_on();
	over = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void
unmap_beside_in_many(void)
{
	for (int i = 0; i < 8; i++) {
		int status = -1;
		pid_t child = fork();

		if (child == 0)
			unmap_beside();
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
			_exit(1);
	}
}

int
main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "pages";

	if (strcmp(way, "beside") == 0)
		unmap_beside_in_many();
	else if (strcmp(way, "child") == 0)
		unmap_in_child();
	else if (strcmp(way, "everything") == 0)
		unmap_everything_in_child();
	else
		for_each_range(strcmp(way, "whole") == 0   ? unmap
			       : strcmp(way, "cover") == 0 ? cover
			       : strcmp(way, "move") == 0  ? move
							   : unmap_pages);
	go_on();
	write(1, "went on\n", 8);
	return 0;
}
