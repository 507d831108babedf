/*
 * cut_search.h: which system calls and functions of an allocator can be led to the recorder?
 *
 * What is known of the code comes from the process and from the program's file (code_map.h,
 * file_functions.h); both are untrusted. Afterwards the copies of the code are given back: the map
 * has its bounds alone. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_CUT_SEARCH_H
#define VMT_CUT_SEARCH_H

#include "inject/program_cuts.h"
#include "inject/target_memory.h"

#include <stdbool.h>
#include <stdint.h>

/* A larger file tells nothing: it is not read. */
#define VMT_CUT_SEARCH_FILE_BYTES (UINT64_C(4) << 30)

struct vmt_cut_search {
	const struct vmt_target *target;
	uint64_t program_headers; /* AT_PHDR */
	int file;		  /* the program's; negative: none */
	/* Nothing of the program has run: its code is the file's, and need not be copied. */
	bool is_unrun;
	bool owns_operators; /* as of heap_hooks.h */
};

/* Finds the sites of wanted calls and the allocator. The caller closes the cuts, also after an
 * error. */
int vmt_cut_search_run(struct vmt_program_cuts *cuts, const struct vmt_cut_search *search);

#endif
