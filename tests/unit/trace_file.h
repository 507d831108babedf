/*
 * trace_file.h: a place for one trace file, in a directory of its own, for as long as a group of
 * tests runs
 */
#ifndef VMT_TRACE_FILE_H
#define VMT_TRACE_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char trace_file_directory[] = "/tmp/vmtrace-test-XXXXXX";
static char trace_file_path[128]; /* of the file, which the tests make */

static inline int
trace_file_begin(void **state)
{
	(void)state;
	if (mkdtemp(trace_file_directory) == NULL)
		return -1;
	snprintf(trace_file_path, sizeof(trace_file_path), "%s/trace.vmt", trace_file_directory);
	return 0;
}

static inline int
trace_file_end(void **state)
{
	(void)state;
	unlink(trace_file_path);
	return rmdir(trace_file_directory);
}

#endif
