/*
 * go_raw_calls.h: which raw system calls of a Go program the library can patch.
 *
 * Looks at the file alone: which of the runtime's raw system calls have the machine code that the
 * library knows (format/go_forms.h), whether C is linked in, what was stripped. Bytes are
 * untrusted.
 */
#ifndef VMT_GO_RAW_CALLS_H
#define VMT_GO_RAW_CALLS_H

#include "format/go.h"

#include <stdbool.h>
#include <stddef.h>

#define VMT_GO_RAW_CALLS_SITES 9u

struct vmt_go_raw_calls_site {
	const char *symbol; /* static */
	bool known;	    /* its calls would be recorded */
};

struct vmt_go_raw_calls {
	bool is_go; /* has a table of functions; else the rest is empty */
	bool cgo;
	bool has_symbols; /* a symbol table, so that the runtime's counters are found */
	bool has_debug;	  /* DWARF, so that they can be read */
	bool has_inlined;
	bool has_counters;  /* where the runtime counts is known */
	bool has_heap;	    /* ... and where it keeps the lists of its heap */
	bool has_profile;   /* live objects can be told by Go line */
	bool lacks_profile; /* they could, but the program keeps no memory profile by itself */
	char version[VMT_GO_VERSION_BYTES];
	bool supported; /* its processor's code is known at all */
	struct vmt_go_raw_calls_site sites[VMT_GO_RAW_CALLS_SITES]; /* those that the program has */
	size_t site_count;
};

/* False: the file can't be read. */
bool vmt_go_raw_calls_inspect(struct vmt_go_raw_calls *program, const char *path);

#endif
