/*
 * hidden_file.h: the hidden name of a trace that may get none, where files can't do without
 */
#ifndef VMT_HIDDEN_FILE_H
#define VMT_HIDDEN_FILE_H

#include "collect/traced.h"

#include <stdbool.h>
#include <stddef.h>

/* The name that the file has as long as it has no other. False: it is too long. */
bool vmt_hidden_file_path(const struct vmt_traced *process, char *path, size_t room);

/* Removes it, where the file has one and gets no other. */
void vmt_hidden_file_remove(const struct vmt_traced *process);

#endif
