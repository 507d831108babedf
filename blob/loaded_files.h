/*
 * loaded_files.h: which files are loaded, by /proc/self/maps
 *
 * For a process whose loader, if it has one, is not to be asked. A file counts where its ELF header
 * lies at the start of a mapping. The program itself has an empty name, as with dl_iterate_phdr;
 * the kernel's own object is left out. One thread at a time; opens a file, allocates nothing.
 */
#ifndef VMT_LOADED_FILES_H
#define VMT_LOADED_FILES_H

#include <link.h>
#include <stddef.h>
#include <stdint.h>

/* Set-up: where the program's own headers lie. */
void vmt_loaded_files_set_program(uint64_t program_headers);

/* As dl_iterate_phdr, without the counts of what was added and removed. */
int vmt_loaded_files_list(int (*visit)(struct dl_phdr_info *info, size_t size, void *context),
			  void *context);

#endif
