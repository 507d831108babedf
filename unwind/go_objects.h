/*
 * go_objects.h: where the Go runtime of a stripped program keeps its objects, by its code
 *
 * A few functions of the runtime name the objects by their distance from the instruction: as the
 * first argument of a known call (lea before call), as the three words of a slice that is loaded
 * (mov), or as the only word that is. Looked at are the versions that format/go_offsets.def has, on
 * x86-64; each is tested against the same program with symbols. What is not found is left out. No
 * allocation, no system call; bytes are untrusted.
 */
#ifndef VMT_GO_OBJECTS_H
#define VMT_GO_OBJECTS_H

#include "unwind/go_image.h"

/* Adds what is found to image->objects. The functions' code and the version are there. */
void vmt_go_objects_find(struct vmt_go_image *image, const struct vmt_go_file *file);

#endif
