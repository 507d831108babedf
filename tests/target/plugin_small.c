/* A shared object that dlopen_loop loads and unloads: allocates when it is loaded, when it is
 * called and when it is unloaded. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NOINLINE __attribute__((noinline))

int plugin_work(int rounds);

static char *kept;

static NOINLINE char *
plugin_make(size_t size)
{
	char *block = malloc(size);

	memset(block, 1, size);
	return block;
}

static NOINLINE char *
plugin_map(size_t length)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

__attribute__((constructor)) static void
plugin_load(void)
{
	kept = plugin_make(3000);
}

__attribute__((destructor)) static void
plugin_unload(void)
{
	free(kept);
}

int
plugin_work(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		char *range = plugin_map(65536);

		free(plugin_make(2000));
		if (range != MAP_FAILED)
			munmap(range, 65536);
	}
	return rounds;
}
