/*
 * open_error.h: says in one line why there is no trace file
 *
 * Async-signal-safe, no allocation; the text is static memory, for one opener at a time.
 */
#ifndef VMT_OPEN_ERROR_H
#define VMT_OPEN_ERROR_H

/* Of a negative errno, or 0: it could have been made, but there is no collector to write it. */
const char *vmt_open_error_of_file(long error, const char *path);

#endif
