/*
 * fork_own: children of fork that call nothing that is recorded, and have memory of their own.
 *
 * Each child writes memory, says what the kernel counts of it, and lives on. The parent waits for
 * them; it says the sum of what the children have for themselves, and of Pss of all, in bytes, as
 * smaps_rollup has them while all are there.
 *
 *   fork_own CHILDREN KIB KIND MILLISECONDS
 *
 *   fresh   pages that nobody had touched before the fork
 *   copied  pages that the parent had written
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST (64u << 20)

static char memory[MOST];

struct figures {
	uint64_t private_bytes;
	uint64_t proportional_bytes;
};

static uint64_t
kib_of(const char *text, const char *key)
{
	const char *line = strstr(text, key);

	return line ? (uint64_t)strtoull(line + strlen(key), NULL, 10) << 10 : 0;
}

/* Not by stdio, which would allocate. */
static struct figures
read_figures(void)
{
	char text[4096] = "";
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (got <= 0)
		_exit(9);
	close(fd);
	return (struct figures){kib_of(text, "\nPrivate_Clean:") + kib_of(text, "\nPrivate_Dirty:"),
				kib_of(text, "\nPss:")};
}

/* Once all have written: what they share is settled then. */
static void
await_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

static void
be_child(size_t bytes, int milliseconds, const int start[2], const int said[2])
{
	struct figures figures;
	char done = 1;

	close(start[1]);
	memset(memory, 2, bytes);
	if (write(said[1], &done, 1) != 1)
		_exit(9);
	await_end(start[0]);
	figures = read_figures();
	if (write(said[1], &figures, sizeof(figures)) != sizeof(figures))
		_exit(9);
	poll(NULL, 0, milliseconds);
	_exit(0);
}

static void
take(int fd, void *bytes, size_t length)
{
	if (read(fd, bytes, length) != (ssize_t)length)
		exit(9);
}

int
main(int argc, char **argv)
{
	unsigned children = argc > 4 ? (unsigned)atoi(argv[1]) : 0;
	size_t bytes = argc > 4 ? (size_t)atol(argv[2]) << 10 : 0;
	struct figures one, sum;
	int start[2], said[2];
	char done;

	if (children == 0 || children > 100 || bytes > MOST || pipe(start) < 0 || pipe(said) < 0)
		return 9;
	madvise(memory, sizeof(memory), MADV_NOHUGEPAGE);
	if (strcmp(argv[3], "copied") == 0)
		memset(memory, 1, bytes);
	for (unsigned i = 0; i < children; i++)
		if (fork() == 0)
			be_child(bytes, atoi(argv[4]), start, said);
	for (unsigned i = 0; i < children; i++)
		take(said[0], &done, 1);
	close(start[1]);
	sum = read_figures();
	sum.private_bytes = 0;
	for (unsigned i = 0; i < children; i++) {
		take(said[0], &one, sizeof(one));
		sum.private_bytes += one.private_bytes;
		sum.proportional_bytes += one.proportional_bytes;
	}
	printf("%llu %llu\n", (unsigned long long)sum.private_bytes,
	       (unsigned long long)sum.proportional_bytes);
	fflush(stdout);
	while (wait(NULL) > 0)
		;
	return 0;
}
