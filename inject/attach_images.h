/*
 * attach_images.h: which loaded files of a process that runs have calls to be recorded, and where?
 *
 * The program's own file, and the C library and the loader that it has loaded: by their names.
 * Where its malloc is wanted, also each file that has one, by its symbols. What is found is found
 * while the program runs, and looked at again when it stands. All of it is untrusted.
 * Single-threaded. Errors: negative errno.
 */
#ifndef VMT_ATTACH_IMAGES_H
#define VMT_ATTACH_IMAGES_H

#include "blob/blob_parameters.h"
#include "inject/program_cuts.h"
#include "inject/stopped_threads.h"

#define VMT_ATTACH_IMAGES VMT_BLOB_STUBS

struct vmt_attach_images {
	struct vmt_program_cuts cuts[VMT_ATTACH_IMAGES];
	uint32_t count;
	bool wants_heap;	 /* the caller's to say */
	bool (*must_stop)(void); /* ... asked before each file; NULL: never */
	uint64_t calls_left;	 /* after map: in files near which no memory is free */
};

/* While it runs. The caller closes them, also after an error. Files that are not mapped as code,
 * and those of more than VMT_CUT_SEARCH_FILE_BYTES, are left alone. -EINTR: it had to stop. */
int vmt_attach_images_find(struct vmt_attach_images *images, const struct vmt_target *target,
			   uint64_t program_headers);

/* How many system calls can be led to the recorder. */
size_t vmt_attach_images_possible(const struct vmt_attach_images *images);

/* The same of functions of allocators; and how many can't, where the first of those is, and why. */
uint32_t vmt_attach_images_led(const struct vmt_attach_images *images);
uint32_t vmt_attach_images_unled(const struct vmt_attach_images *images, uint64_t *first,
				 const char **why);

/* Whether one of them can be, as far as the maps show it: elsewhere nothing is free for stubs. */
bool vmt_attach_images_have_place(struct vmt_attach_images *images,
				  const struct vmt_target *target);

/* While it stands. -EBUSY: a thread stands in what would be replaced, or may come back to it. What
 * can't be replaced in any case gets another verdict; with `leave` what is in use, too, unless it
 * is Go's. */
int vmt_attach_images_check(struct vmt_attach_images *images, const struct vmt_target *target,
			    const struct vmt_stopped_threads *threads, bool leave);

/* Fills in what of the parameters they know. */
void vmt_attach_images_describe(const struct vmt_attach_images *images,
				struct vmt_blob_parameters *parameters);

/* handlers: of the allocators' functions, by enum vmt_heap_entry, from base on. Before map. */
void vmt_attach_images_set_handlers(struct vmt_attach_images *images, uint64_t base,
				    const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT]);

/* As of program_cuts.h, of all of them. map: a file near which no memory is free is left as it is;
 * -ENOSPC: then nothing can be led to the recorder. */
int vmt_attach_images_map(struct vmt_attach_images *images, struct vmt_remote *remote,
			  uint64_t entry);
void vmt_attach_images_unmap(struct vmt_attach_images *images, struct vmt_remote *remote);
int vmt_attach_images_make(const struct vmt_attach_images *images, const struct vmt_target *target);
int vmt_attach_images_undo(const struct vmt_attach_images *images, const struct vmt_target *target);
int vmt_attach_images_undo_veneers(const struct vmt_attach_images *images,
				   const struct vmt_target *target);
void vmt_attach_images_close(struct vmt_attach_images *images);

#endif
