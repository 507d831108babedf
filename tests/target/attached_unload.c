/* A program that is recorded while it runs, and unloads one of its libraries meanwhile. Each byte
 * of its input is answered once it is done:
 *   1  an allocator of a plugin's makes a block and releases it
 *   2  the plugin is unloaded; at the place of its code lies from then on, by the argument:
 *      nothing; "private": memory full of 0x5a; a file's name: that file, shared
 *   3  what lies there is checked: exit status 9 where a byte is another
 * At the end of the input it exits with 7. A second argument names a file that is mapped as data,
 * to be read. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define FILLING 0x5a

static void *plugin;
static void *(*make)(size_t bytes);
static void (*release)(void *block);
static unsigned char *place; /* of its code */

static void
load(void)
{
	plugin = dlopen("$ORIGIN/plugin_bare_allocator", RTLD_NOW);
	if (!plugin)
		_exit(3);
	*(void **)&make = dlsym(plugin, "je_malloc");
	*(void **)&release = dlsym(plugin, "je_free");
	if (!make || !release)
		_exit(4);
	place = (void *)((uintptr_t)make & ~(uintptr_t)(PAGE_BYTES - 1));
}

static void
unload(const char *with)
{
	int is_file = with && strcmp(with, "private") != 0;
	int fd = is_file ? open(with, O_RDWR) : -1;
	int flags = MAP_FIXED | (is_file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);

	if (dlclose(plugin) != 0)
		_exit(5);
	if (!with)
		return;
	if (mmap(place, PAGE_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0) != place)
		_exit(6);
	memset(place, FILLING, PAGE_BYTES);
}

static void
map_data(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || mmap(NULL, PAGE_BYTES, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		_exit(10);
	close(fd);
}

static void
check(void)
{
	for (size_t i = 0; i < PAGE_BYTES; i++)
		if (place[i] != FILLING)
			_exit(9);
}

int
main(int argc, char **argv)
{
	const char *with = argc > 1 ? argv[1] : NULL;
	unsigned char what;

	load();
	if (argc > 2)
		map_data(argv[2]);
	while (read(STDIN_FILENO, &what, 1) == 1) {
		if (what == 1)
			release(make(1000));
		else if (what == 2)
			unload(with);
		else if (with)
			check();
		if (write(STDOUT_FILENO, &what, 1) != 1)
			_exit(8);
	}
	return 7;
}
