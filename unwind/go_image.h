/*
 * go_image.h: reads what an executable holds of the Go runtime, and where
 *
 * Reads the bytes of an ELF file, as they lie in the file: the symbol table, or, where it was
 * stripped, .gopclntab (Go 1.18 and later: debug/gosym and cmd/link/internal/ld/pcln.go of Go;
 * before Go 1.26 it names the start of the text itself, since then the module data does). Addresses
 * are the file's: add the load bias. A name may belong to several functions, the assembly and its
 * wrapper for Go's other calling convention, which .gopclntab does not tell apart: each is a
 * candidate.
 *
 * Every offset is checked: a damaged file gives less, or a reason. No allocation, no system call.
 */
#ifndef VMT_GO_IMAGE_H
#define VMT_GO_IMAGE_H

#include "format/go.h"

#include <stdbool.h>
#include <stdint.h>

enum vmt_go_function {
	VMT_GO_MADVISE,
	VMT_GO_MMAP,
	VMT_GO_MUNMAP,
	VMT_GO_EXIT,
	VMT_GO_SYSCALL,
	VMT_GO_SYSTEMSTACK,
	VMT_GO_MORESTACK,
	VMT_GO_CALLBACK,    /* only there with runtime/cgo */
	VMT_GO_RACE_ENTER,  /* only there with -race */
	VMT_GO_MALLOC_INIT, /* these name the runtime's objects: go_objects.h */
	VMT_GO_HEAP_INIT,
	VMT_GO_HEAP_GROW,
	VMT_GO_STATISTICS_ACQUIRE,
	VMT_GO_GC_INIT,
	VMT_GO_CONTROLLER_INIT,
	VMT_GO_GOROUTINE_ADD,
	VMT_GO_PROCESSORS_RESIZE,
	VMT_GO_PROFILE_FLUSH,
	VMT_GO_PROFILE_FREE,
	VMT_GO_CACHE_NEW,
	VMT_GO_SCHEDULER_INIT,
	VMT_GO_RUNTIME_INIT,
	VMT_GO_FUNCTIONS
};

#define VMT_GO_CANDIDATES 3u

struct vmt_go_code {
	const char *name; /* static text */
	uint64_t address; /* in the file's address space */
	uint64_t bytes;	  /* that can be read there */
};

struct vmt_go_image {
	uint64_t text_low; /* code of Go functions, 0 = not known */
	uint64_t text_high;
	struct vmt_go_code code[VMT_GO_FUNCTIONS][VMT_GO_CANDIDATES]; /* address 0 = no more */
	bool cgo;
	bool stripped;
	char version[VMT_GO_VERSION_BYTES];
	uint32_t objects_count;
	struct vmt_go_object objects[VMT_GO_OBJECTS]; /* addresses in the file's address space */
	/* A byte that says 1: the program is not to keep a memory profile. 0: there is none that
	 * says so, or it is not known where. */
	uint64_t profile_disabled;
};

/* An ELF file in memory. */
struct vmt_go_file {
	const unsigned char *bytes;
	uint64_t length;
};

/* A name as it lies in the file: ends with a NUL or with its room. */
struct vmt_go_name {
	const char *text;
	uint64_t room; /* at least 1 */
};

/* What the sections and the symbol table say; where it was stripped, the functions are still to be
 * read (go_functions.h). NULL, or why nothing is known (static text). */
const char *vmt_go_image_read_symbols(struct vmt_go_image *image, const struct vmt_go_file *file);

/* Whether a library is a plugin (-buildmode=plugin): it is loaded by a Go program, and has no
 * runtime of its own. What it exports says so, which the loader compares
 * (cmd/link/internal/ld/symtab.go of Go: go:link.pkghash, before Go 1.20 go.link.pkghash). Of a
 * program that loads plugins it is true, too.
 */
bool vmt_go_image_is_plugin(const struct vmt_go_file *file);

/* Whether it has what Go's linker says of a build (.go.buildinfo), which no option leaves out. */
bool vmt_go_image_is_go(const struct vmt_go_file *file);

/* Whether the bytes begin as that does. */
bool vmt_go_image_is_mark(const void *bytes, uint64_t length);

/* The parts that go_functions.c shares. [offset, offset + bytes) of the file, or NULL.
 */
const void *vmt_go_image_at(const struct vmt_go_file *file, uint64_t offset, uint64_t bytes);
/* The file's bytes for an address of a loaded segment, at least `bytes` of them, or NULL. */
const void *vmt_go_image_loaded(const struct vmt_go_file *file, uint64_t address, uint64_t bytes);
/* Whether the file has a 1 for that byte, in a segment that can be written: how the linker sets a
 * variable. */
bool vmt_go_image_is_set(const struct vmt_go_file *file, uint64_t address);
/* The 8 bytes at an address once the file has been relocated (less the load bias); 0 = not known.
 */
uint64_t vmt_go_image_word(const struct vmt_go_file *file, uint64_t address);
/* Remembers a function if its name is wanted and it lies in the file. */
void vmt_go_image_take(struct vmt_go_image *image, const struct vmt_go_file *file,
		       const struct vmt_go_name *name, uint64_t address, uint64_t bytes);

#endif
