/* Does to all mappings that are not its own, nor libc's or its loader's or the kernel's, what the
 * argument says: takes access away, writing, or pages, or says what a fork child is to find there.
 * Then goes on: maps, advises, forks, and ends by itself. Linked with -static, all but its image,
 * its heap and its stack is another's. "below" maps each page of the 8 MiB below its image where
 * nothing is, "over" whatever is there. PAD: bytes more of code. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RANGES 512

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#ifdef PAD
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
__asm__(".pushsection .text\n.skip " TEXT(PAD) "\n.popsection\n");
#endif

extern const char __executable_start;
extern const char _end;

static struct {
	char *start;
	char *end;
} ranges[RANGES];

static char text[1 << 18];
static int is_static;

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
is_own(const char *line, uintptr_t start)
{
	if (start >= (uintptr_t)&__executable_start && start < (uintptr_t)&_end)
		return 1;
	if (strchr(line, '['))
		return 1;
	return !is_static && (!strchr(line, '/') || strstr(line, "/libc") || strstr(line, "/ld-"));
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

		if (sscanf(line, "%lx-%lx", &start, &end) != 2 || is_own(line, start))
			continue;
		ranges[count].start = (char *)start;
		ranges[count++].end = (char *)end;
	}
	return count;
}

static int
advice_of(const char *way)
{
	return strcmp(way, "dontneed") == 0	? MADV_DONTNEED
	       : strcmp(way, "free") == 0	? MADV_FREE
	       : strcmp(way, "remove") == 0	? MADV_REMOVE
	       : strcmp(way, "dontfork") == 0	? MADV_DONTFORK
	       : strcmp(way, "wipeonfork") == 0 ? MADV_WIPEONFORK
						: MADV_KEEPONFORK;
}

static void
take(const char *way, char *start, size_t length)
{
	if (strcmp(way, "none") == 0)
		mprotect(start, length, PROT_NONE);
	else if (strcmp(way, "readonly") == 0)
		mprotect(start, length, PROT_READ);
	else
		madvise(start, length, advice_of(way));
}

static void
go_on(void)
{
	for (int i = 0; i < 1000; i++) {
		void *block;
		char *page =
		    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		page[0] = 1;
		madvise(page, 4096, MADV_DONTNEED);
		if (page[0] != 0)
			_exit(4);
		munmap(page, 4096);
		block = malloc(100000);
		memset(block, 1, 100000);
		free(block);
	}
}

static void
fork_and_go_on(void)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		go_on();
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0) {
		printf("child: %d\n", status);
		exit(3);
	}
}

static void
map_below(int flag)
{
	uintptr_t low = (uintptr_t)&__executable_start;
	unsigned mapped = 0;
	unsigned refused = 0;

	for (uintptr_t at = low - 4096; at >= 65536 && low - at <= 8 << 20; at -= 4096) {
		char *page = mmap((void *)at, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | flag, -1, 0);

		if (page == (void *)at) {
			page[1] = 1;
			mapped++;
		} else {
			refused++;
		}
	}
	printf("mapped %u, refused %u\n", mapped, refused);
	go_on();
}

int
main(int argc, char **argv)
{
	size_t count;

	is_static = argc > 2;
	if (argc < 2)
		return 2;
	go_on();
	if (strcmp(argv[1], "below") == 0 || strcmp(argv[1], "over") == 0) {
		map_below(argv[1][0] == 'b' ? MAP_FIXED_NOREPLACE : MAP_FIXED);
		return 0;
	}
	read_maps();
	count = find_ranges();
	for (size_t i = 0; i < count; i++)
		take(argv[1], ranges[i].start, (size_t)(ranges[i].end - ranges[i].start));
	go_on();
	fork_and_go_on();
	go_on();
	printf("went on\n");
	return 0;
}
