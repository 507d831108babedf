#include "tools/cmd/exec_traces.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a program that does nothing else. */
#define MOST_IMAGES 10000u

static bool
ends_with(const char *text, size_t length, const char *tail)
{
	size_t tail_length = strlen(tail);

	return length >= tail_length && memcmp(text + length - tail_length, tail, tail_length) == 0;
}

/* The name that the library tries next. False where it is too long. */
static bool
name_next(char *next, const char *path, uint32_t pid)
{
	size_t stem = strlen(path);
	char tail[16];
	const char *dot;
	int used;

	if (ends_with(path, stem, ".vmt"))
		stem -= 4;
	snprintf(tail, sizeof(tail), ".%" PRIu32, pid);
	dot = memrchr(path, '.', stem);
	if (ends_with(path, stem, tail))
		used = snprintf(next, VMT_EXEC_TRACES_PATH_BYTES, "%.*s.1.vmt", (int)stem, path);
	else if (dot && ends_with(path, (size_t)(dot - path), tail))
		used = snprintf(next, VMT_EXEC_TRACES_PATH_BYTES, "%.*s.%lu.vmt", (int)(dot - path),
				path, strtoul(dot + 1, NULL, 10) + 1);
	else
		used =
		    snprintf(next, VMT_EXEC_TRACES_PATH_BYTES, "%.*s%s.vmt", (int)stem, path, tail);
	return used > 0 && (size_t)used < VMT_EXEC_TRACES_PATH_BYTES;
}

void
vmt_exec_traces_find(struct vmt_exec_traces *images, const char *path, uint32_t pid)
{
	char next[VMT_EXEC_TRACES_PATH_BYTES];

	images->next[0] = images->last[0] = '\0';
	for (unsigned i = 0; i < MOST_IMAGES; i++) {
		if (!name_next(next, i == 0 ? path : images->last, pid) || access(next, F_OK) != 0)
			return;
		memcpy(images->last, next, sizeof(next));
		if (i == 0)
			memcpy(images->next, next, sizeof(next));
	}
}
