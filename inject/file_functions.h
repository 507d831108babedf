/*
 * file_functions.h: where the functions of a program's file lie, by its sections
 *
 * What the image in a process lacks, the file often has: symbols of functions with their sizes,
 * tables of frames that no program header names (a static program of glibc's), and where Go's table
 * of functions lies. A stripped file has no symbols and may have no sections; that is no error.
 *
 * The file's bytes are untrusted, and the caller's: a mapping, or a copy. Pure but for the map
 * that it fills; no allocation of its own.
 */
#ifndef VMT_FILE_FUNCTIONS_H
#define VMT_FILE_FUNCTIONS_H

#include "inject/code_map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_file {
	const uint8_t *bytes;
	size_t length;
};

/* Adds what the file knows to the map of its image; the map is to be settled afterwards. */
int vmt_file_functions_add(const struct vmt_file *file, struct vmt_code_map *map);

/* How many bytes the tables of symbols take that are read for this. */
uint64_t vmt_file_functions_bytes(const struct vmt_file *file);

/* Called for each symbol of a function that has a name; address as in the file, 0 bytes: unknown.
 * */
struct vmt_file_function {
	const char *name; /* ends with a NUL, within the file */
	uint64_t address;
	uint64_t bytes;
	bool is_local;	  /* no other file can call it by its name */
	bool is_indirect; /* it returns the address of the function to be called */
};
typedef void vmt_file_functions_visitor(void *context, const struct vmt_file_function *function);
void vmt_file_functions_each(const struct vmt_file *file, vmt_file_functions_visitor *visit,
			     void *context);

#endif
