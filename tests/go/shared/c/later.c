/* Loads the library that is its argument, lets its heap grow, and ends when its input does. */
#include <dlfcn.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
	int (*grow)(void) = library ? (int (*)(void))dlsym(library, "Grow") : NULL;

	if (!grow)
		return 1;
	printf("%d\n", grow());
	fflush(stdout);
	return getchar() == EOF ? 0 : 1;
}
