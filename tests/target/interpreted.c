/* Runs a program in an interpreter: interpreted LIBRARY CHUNKS. Sets it up with 12 chunks of 1 MiB,
 * loads with 24, runs with as many as it is told; says "ready" and waits for the end of its
 * input. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef int entry(int chunks);

static int
enter(void *library, const char *name, int chunks)
{
	entry *function = (entry *)dlsym(library, name);

	return function ? function(chunks) : -1;
}

int
main(int argc, char **argv)
{
	void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
	int failed;

	if (!library) {
		fprintf(stderr, "usage: interpreted LIBRARY CHUNKS\n");
		return 2;
	}
	failed = enter(library, "interpreter_setup", 12);
	failed |= enter(library, "interpreter_load", 24);
	failed |= enter(library, "interpreter_run", atoi(argv[2]));
	puts(failed ? "failed" : "ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return failed ? 1 : 0;
}
