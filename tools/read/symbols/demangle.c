#include "tools/read/symbols/demangle.h"

#include <libiberty/demangle.h>
#include <stddef.h>
#include <string.h>

/* A name this long is not for reading, and its demangled form could be exponentially longer. */
#define MAX_MANGLED_BYTES 4096u

char *
vmt_demangle_name(const char *mangled)
{
	if (mangled[0] != '_' || strlen(mangled) > MAX_MANGLED_BYTES)
		return NULL;
	return cplus_demangle(mangled, DMGL_ANSI | DMGL_AUTO);
}
