/*
 * file_view.h: the bytes of a file, whoever shortens it meanwhile
 *
 * The file is mapped: the pages that are wanted of a large one come by themselves. What is behind
 * its end by the time it is read raises SIGBUS: the host's handler asks vmt_file_view_fill, and
 * zeros are read there. Without a handler this process ends by it.
 *
 * Single-threaded, but for fill: async-signal-safe.
 */
#ifndef VMT_FILE_VIEW_H
#define VMT_FILE_VIEW_H

#include "inject/file_functions.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_FILE_VIEWS 4u /* at a time */

/* Without bytes: it is no open file, it has none or more than `most`, or it can't be mapped. */
struct vmt_file vmt_file_view_open(int fd, uint64_t most);
void vmt_file_view_close(const struct vmt_file *file);

/* Whether the address is in a view: then zeros can be read there from now on. */
bool vmt_file_view_fill(uint64_t address);

#endif
