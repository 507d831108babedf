/* A program that compiles a function and writes down what it is called, as run times do: compiled
 * MODE. Its code maps a MiB and touches it; "ready PID", then it reads a line before it ends.
 *   named    the map has the function, and one that was at its place before
 *   anew     the map names another function after each line that is read, twice: it is written anew
 *   silent   there is no map
 *   link, fifo, directory, huge    there is something else in its place */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static size_t mib = MIB; /* what the code maps */

/* Calls its first argument, with a frame of its own. */
#if defined(__x86_64__)
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
#elif defined(__aarch64__)
static const unsigned char code[] = {0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00, 0x91, 0x00, 0x00,
				     0x3f, 0xd6, 0xfd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0x5f, 0xd6};
#endif

static void
take_memory(void)
{
	char *memory = mmap(NULL, mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		exit(1);
	memset(memory, 1, mib);
}

static void
write_map(const char *path, const char *mode, unsigned long start)
{
	FILE *file;

	if (strcmp(mode, "silent") == 0)
		return;
	if (strcmp(mode, "fifo") == 0 && mkfifo(path, 0600) == 0)
		return;
	if (strcmp(mode, "directory") == 0 && mkdir(path, 0700) == 0)
		return;
	if (strcmp(mode, "link") == 0) {
		char target[96];

		snprintf(target, sizeof(target), "%s.target", path);
		if (symlink(target, path) != 0)
			exit(1);
	}
	file = fopen(path, "w");
	if (!file)
		exit(1);
	if (strcmp(mode, "huge") == 0 && ftruncate(fileno(file), 1L << 40) != 0)
		exit(1);
	fprintf(file, "%lx %zx JS:~cold /srv/app.js:3:1\n", start, sizeof(code));
	fprintf(file, "%lx %zx JS:*hot /srv/app.js:12:34\n", start, sizeof(code));
	fclose(file);
}

/* The code at that place is another function from now on. */
static void
replace(const char *path, const char *name, unsigned long start)
{
	FILE *file = fopen(path, "w");

	if (!file)
		exit(1);
	fprintf(file, "%lx %zx %s\n", start, sizeof(code), name);
	fclose(file);
}

/* Three functions one after the other, which take 1, 2 and 4 MiB. */
static void
run_anew(const char *path, unsigned long start, void (*function)(void (*)(void)))
{
	static const char *const names[] = {"first_function", "second_function", "third_function"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		replace(path, names[i], start);
		mib = MIB << i;
		function(take_memory);
		printf("ready %d\n", (int)getpid());
		fflush(stdout);
		getchar();
	}
}

int
main(int argc, char **argv)
{
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*function)(void (*)(void));
	char path[64];

	if (argc < 2 || page == MAP_FAILED)
		return 1;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	memcpy(page, code, sizeof(code));
	__builtin___clear_cache((char *)page, (char *)page + sizeof(code));
	memcpy(&function, &page, sizeof(function));
	if (strcmp(argv[1], "anew") == 0) {
		run_anew(path, (unsigned long)page, function);
		return 0;
	}
	write_map(path, argv[1], (unsigned long)page);
	function(take_memory);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	getchar();
	return 0;
}
