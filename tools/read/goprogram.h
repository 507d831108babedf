/*
 * goprogram.h: what of a Go program's memory calls could be seen?
 *
 * Looks at the file alone: which of the runtime's raw system calls have the machine code that the
 * library knows (format/go_forms.h), whether C is linked in, what was stripped. Bytes are
 * untrusted.
 */
#ifndef VMT_GOPROGRAM_H
#define VMT_GOPROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#define VMT_GOPROGRAM_SITES 8u

struct vmt_goprogram_site {
	const char *symbol; /* static */
	bool known;	    /* its calls would be recorded */
};

struct vmt_goprogram {
	bool is_go; /* has a table of functions; else the rest is empty */
	bool cgo;
	bool has_symbols; /* a symbol table, so that the runtime's counters are found */
	bool has_debug;	  /* DWARF, so that they can be read */
	bool has_inlined;
	bool supported; /* its processor's code is known at all */
	struct vmt_goprogram_site sites[VMT_GOPROGRAM_SITES]; /* those that the program has */
	size_t site_count;
};

/* False: the file can't be read. */
bool vmt_goprogram_inspect(struct vmt_goprogram *program, const char *path);

#endif
