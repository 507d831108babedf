/*
 * version.h: the version of vmtrace.
 */
#ifndef VMT_VERSION_TEXT_H
#define VMT_VERSION_TEXT_H

#define VMT_VERSION_TEXT "0.1.0"

/* One line on stdout: the command's version and the trace format it reads. */
void vmt_version_print(void);

#endif
