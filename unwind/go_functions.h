/*
 * go_functions.h: finds the functions of a Go program, stripped or not
 *
 * By its symbols, or by the table of Go 1.18 and later (gopclntab.h). Files of the caller's, read
 * as in go_image.h.
 */
#ifndef VMT_GO_FUNCTIONS_H
#define VMT_GO_FUNCTIONS_H

#include "format/go_roles.h"
#include "unwind/go_image.h"

/* Reads the whole image: symbols, or of a stripped program the functions that are wanted and the
 * bounds of the text. NULL, or why nothing is known (static text). */
const char *vmt_go_functions_read(struct vmt_go_image *image, const struct vmt_go_file *file);

/* What each function tells of memory calls, stripped or not; text is the file's address, 0 where
 * nothing is known. */
void vmt_go_functions_tell(struct vmt_go_code_roles *roles, const struct vmt_go_file *file);

#endif
