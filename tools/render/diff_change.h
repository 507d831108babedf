/*
 * diff_change.h: a change of bytes in a few characters.
 */
#ifndef VMT_DIFF_CHANGE_H
#define VMT_DIFF_CHANGE_H

#include "tools/model/diff/diff.h"
#include "tools/render/units.h"

#define VMT_DIFF_CHANGE_BYTES (VMT_UNITS_BYTES + 1)

/* "+384 MiB", "-4 KiB", "0 B". Returns text. */
const char *vmt_diff_change_write(char text[VMT_DIFF_CHANGE_BYTES],
				  const struct vmt_diff_figure *figure);

#endif
