/*
 * start.h: begins the recording, of a program and of a fork child
 */
#ifndef VMT_START_H
#define VMT_START_H

/* Begins recording, at the first call: the library's constructor, or the first pthread_create,
 * should another library's constructor come before ours and start threads (Go's c-shared libraries
 * do): what has to be done before there are threads is done then. Keeps errno. */
void vmt_start_begin(void);

#endif
