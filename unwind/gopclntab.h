/*
 * gopclntab.h: Go functions and lines without debug information
 *
 * Every Go program carries the table that its own runtime reads for tracebacks. Known are the
 * tables of Go 1.2 to 1.15, 1.16 and 1.17, 1.18 and 1.19, 1.20 and newer (the header's first word
 * tells). Tested with real ones of 1.15, 1.19 and newer; with that of 1.16 and 1.17, of which
 * Debian has no package any more, only as made by hand. Inlined calls are told apart for the latter
 * two, where the tree of inlined calls (go:func.*) was found; else an address gives its outermost
 * function, with the innermost line. Names are as the runtime prints them: main.(*T).Method,
 * main.main.func1, main.Sum[...].
 *
 * Layout: runtime/symtab.go, runtime/runtime2.go (_func), runtime/symtabinl.go, debug/gosym of each
 * version. Bytes are untrusted: what does not fit is not known. Nothing is allocated or copied:
 * strings lie in the table's bytes, which are the caller's. Immutable once open; thread and
 * signal safe.
 */
#ifndef VMT_GOPCLNTAB_H
#define VMT_GOPCLNTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vmt_gopclntab_version {
	VMT_GOPCLNTAB_NONE,
	VMT_GOPCLNTAB_1_2,
	VMT_GOPCLNTAB_1_16,
	VMT_GOPCLNTAB_1_18,
	VMT_GOPCLNTAB_1_20,
};

/* A part of the table. */
struct vmt_gopclntab_part {
	const unsigned char *bytes;
	size_t length;
};

struct vmt_gopclntab {
	enum vmt_gopclntab_version version;
	uint8_t pointer_bytes;
	uint8_t quantum; /* instructions are multiples of it */
	uint64_t functions;
	uint64_t text; /* added to the entries of 1.18 and newer */
	struct vmt_gopclntab_part whole;
	struct vmt_gopclntab_part names;
	struct vmt_gopclntab_part units; /* file numbers of a compilation unit */
	struct vmt_gopclntab_part files;
	struct vmt_gopclntab_part values; /* tables from pc to a number */
	struct vmt_gopclntab_part index;  /* of functions: entry and record */
	struct vmt_gopclntab_part records;
	struct vmt_gopclntab_part inlines; /* go:func.*; empty = not known */
};

struct vmt_gopclntab_frame {
	const char *function; /* NULL = not known */
	const char *file;
	uint32_t line; /* 0 = not known */
	bool inlined;
};

/* A function: its code is [start, end). */
struct vmt_gopclntab_function {
	const char *name;
	uint64_t start;
	uint64_t end;
};

/* Where the table of 1.18 and newer, with pointers of 8 bytes, has the start of the text. 0 there
 * where a relocation brings it, and from Go 1.26 on: then the module data has it alone. */
#define VMT_GOPCLNTAB_TEXT_OFFSET 24u
/* ... the word of runtime.moduledata, whose first word is the table's address (Go 1.18 to 1.27). */
#define VMT_GOPCLNTAB_MODULE_TEXT_OFFSET 176u

/* A function of the index. Its name lies in the table, and ends with a NUL or with its room. */
struct vmt_gopclntab_entry {
	const char *name;
	uint64_t room; /* at least 1 */
	uint64_t start;
	uint64_t end;
};

/* Which table begins here, by its first 8 bytes. */
enum vmt_gopclntab_version vmt_gopclntab_version(const unsigned char *bytes, size_t length);

/* A table of at most `length` bytes. False where it makes no sense. `text`, if not 0, stands for
 * the start of the text, which Go 1.26 and newer do not keep in the table. */
bool vmt_gopclntab_open(struct vmt_gopclntab *table, const unsigned char *bytes, size_t length,
			uint64_t text);

/* The frames at an address, innermost first; how many, at most `room`. */
size_t vmt_gopclntab_find(const struct vmt_gopclntab *table, uint64_t address,
			  struct vmt_gopclntab_frame *frames, size_t room);

/* Function `index` of those there are: cheap, for a walk over all. False: it is damaged. */
bool vmt_gopclntab_entry(const struct vmt_gopclntab *table, uint64_t index,
			 struct vmt_gopclntab_entry *entry);

/* The end of the last function. */
uint64_t vmt_gopclntab_end(const struct vmt_gopclntab *table);

/* The function that covers the address. */
bool vmt_gopclntab_covering(const struct vmt_gopclntab *table, uint64_t address,
			    struct vmt_gopclntab_function *function);

/* The next function of that name: begin with *cursor = 0. An assembly function and its wrapper for
 * Go's other calling convention have the same. Walks the table. */
bool vmt_gopclntab_named(const struct vmt_gopclntab *table, const char *name, uint64_t *cursor,
			 struct vmt_gopclntab_function *function);

#endif
