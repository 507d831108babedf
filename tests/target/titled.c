/* A server that writes over its arguments once it runs: titled TITLE [PADDING ...]. Maps a MiB,
 * says "ready" and waits for a line; takes the title, says "titled" and waits for the end of its
 * input. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
say(const char *word)
{
	puts(word);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	char title[256];
	size_t room = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
	char byte;
	char *range =
	    mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc < 3 || range == MAP_FAILED || strlen(argv[1]) >= room)
		return 2;
	memset(range, 1, 1 << 20);
	snprintf(title, sizeof(title), "%s", argv[1]);
	say("ready");
	if (read(STDIN_FILENO, &byte, 1) != 1)
		return 1;
	memset(argv[0], 0, room);
	memcpy(argv[0], title, strlen(title));
	say("titled");
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
