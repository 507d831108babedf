#include "tests/e2e/says.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether these words stand at the beginning of text. */
static bool
begins_with(const char *text, const char *words)
{
	for (; *words; words++) {
		if (*words == ' ' && *text == '\n') {
			text++;
			text += strspn(text, " ");
		} else if (*text++ != *words) {
			return false;
		}
	}
	return true;
}

char *
says(const char *text, const char *words)
{
	while (!begins_with(text, words))
		if (*text++ == '\0')
			return NULL;
	return (char *)(uintptr_t)text;
}
