/*
 * figure_file.h: a number in a file, as the kernel and its users write one
 */
#ifndef VMT_FIGURE_FILE_H
#define VMT_FIGURE_FILE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

/* DIRECTORY/NAME: the words before, the number, an end of line. False: it can't be written. */
static inline bool
figure_file_write(const char *directory, const char *name, const char *before, uint64_t figure)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (!file)
		return false;
	fprintf(file, "%s%" PRIu64 "\n", before, figure);
	return fclose(file) == 0;
}

#endif
