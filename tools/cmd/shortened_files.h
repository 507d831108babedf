/*
 * shortened_files.h: files that are shortened while they are read end nobody
 *
 * Of those that inject/file_view.h shows: zeros are read in place of what is gone. Any other SIGBUS
 * ends this process, as ever. Once, before the first other thread.
 */
#ifndef VMT_SHORTENED_FILES_H
#define VMT_SHORTENED_FILES_H

void vmt_shortened_files_survive(void);

#endif
