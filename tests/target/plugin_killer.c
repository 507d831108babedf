/*
 * plugin_killer.c: as if a trace killed who reads it. To be preloaded.
 *
 * Opening a file of the name kills-N.vmt raises SIGSEGV, the Nth time that the process or its
 * forebears open it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int opened;

int
open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...) =
	    (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	const char *name = strstr(path, "/kills-");
	va_list more;
	int mode;

	va_start(more, flags);
	mode = flags & O_CREAT ? va_arg(more, int) : 0;
	va_end(more);
	if (name && ++opened == atoi(name + strlen("/kills-"))) {
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	}
	return next(path, flags, mode);
}
