/* Loads its last argument into a namespace of its own, and with RTLD_DEEPBIND. Ends with status 3.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

static void
call(void *file)
{
	int (*use)(int) = (int (*)(int))dlsym(file, "use");

	printf("%d\n", use(500));
	dlclose(file);
}

int
main(int count, char **arguments)
{
	const char *path = arguments[count - 1];

	for (int i = 0; i < 5; i++) {
		call(dlmopen(LM_ID_NEWLM, path, RTLD_NOW));
		call(dlopen(path, RTLD_NOW | RTLD_DEEPBIND));
	}
	return 3;
}
