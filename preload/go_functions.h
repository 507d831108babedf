/*
 * go_functions.h: which functions does the .gopclntab of a stripped Go program name?
 *
 * The table of Go 1.18 and later (magic 0xfffffff0, 0xfffffff1): header, function names, and an
 * array of entry offsets from the start of the text with the offset of each function's record.
 * Files of the caller's, read as in go_image.h.
 */
#ifndef VMT_GO_FUNCTIONS_H
#define VMT_GO_FUNCTIONS_H

#include "preload/go_image.h"

/* Takes the wanted functions and the bounds of the text. NULL, or why not (static text). */
const char *vmt_go_functions_read(struct vmt_go_image *image, const struct vmt_go_file *file);

#endif
