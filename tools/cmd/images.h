/*
 * images.h: which traces have the programs that a process went on as?
 *
 * An exec begins another trace, named after the first by the library: FILE.vmt, FILE.PID.vmt,
 * FILE.PID.1.vmt ... Where the name was made of the program's (%n), the next one is not to be
 * guessed. Reads directories by name alone. Thread safe.
 */
#ifndef VMT_IMAGES_H
#define VMT_IMAGES_H

#include <stdint.h>

#define VMT_IMAGES_PATH_BYTES 4096u

struct vmt_images {
	char next[VMT_IMAGES_PATH_BYTES]; /* "" = none was found */
	char last[VMT_IMAGES_PATH_BYTES]; /* after which there is none */
};

/* What follows the trace at a path, of the process that made it. */
void vmt_images_find(struct vmt_images *images, const char *path, uint32_t pid);

#endif
