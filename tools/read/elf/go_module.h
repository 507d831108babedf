/*
 * go_module.h: finds the Go runtime's tables in a program's file.
 *
 * Finds the table of functions (gopclntab.h) by its section, or, in a file whose sections are gone
 * or merged, by its first bytes, and with it the runtime's moduledata, which says where the text
 * begins and where the trees of inlined calls lie. Reads the file's bytes alone; they are untrusted
 * and the caller's, and must outlive the module. Immutable once open.
 */
#ifndef VMT_GO_MODULE_H
#define VMT_GO_MODULE_H

#include "tools/read/elf/elf_image.h"
#include "unwind/gopclntab.h"

struct vmt_go_module {
	struct vmt_elf_image image;
	struct vmt_gopclntab table;
	uint64_t table_address;
	unsigned char *relocated; /* a copy of the table, where the loader changes it */
	bool has_inlined;	  /* inlined calls are told apart */
};

/* NULL where the file is no Go program, or out of memory. */
struct vmt_go_module *vmt_go_module_open(const unsigned char *file, size_t bytes);
void vmt_go_module_close(struct vmt_go_module *module);

#endif
