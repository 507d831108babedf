/*
 * search_path.h: which file does a name without a slash stand for, as execvp looks for it?
 *
 * The first in the directories of PATH that may be executed; where there is no PATH, in those that
 * libc takes. Reads the environment as libc does before it executes. Makes system calls, touches
 * its own stack alone. Of use as the search of capture/trace/static_exec.h.
 */
#ifndef VMT_SEARCH_PATH_H
#define VMT_SEARCH_PATH_H

#include "capture/trace/static_exec.h"

#include <stdbool.h>

/* False: none; the path is not filled. */
bool vmt_search_path_find(const char *name, char path[VMT_STATIC_EXEC_PATH_BYTES]);

#endif
