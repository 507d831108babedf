/*
 * unmap_files.h: lets a copy of the program let go of the program's files
 *
 * A collector that may not become another program by exec (spawn.h) keeps the library, the session
 * and anonymous memory, and unmaps every other file: the C library, too, so that from then on
 * nothing may be called but collect/ and format/ (standalone_start.h). The kernel holds the
 * executable by a reference of its own as well: with CAP_SYS_RESOURCE it takes the library in its
 * place (prctl(2), PR_SET_MM_EXE_FILE), else the executable stays busy for as long as the collector
 * lives. In a process of its own, single-threaded, with all signals blocked.
 */
#ifndef VMT_UNMAP_FILES_H
#define VMT_UNMAP_FILES_H

#include "base/session.h"

/* `library`: the library's own file, absolute; empty where it is not known. What fails leaves
 * things as they were. */
void vmt_unmap_files_all(const struct vmt_session *session, const char *library);

/* The files alone, in a process that has no C library to lose. */
void vmt_unmap_files_beside(const struct vmt_session *session);

#endif
