/* documented.c: see documented.h. */
#include "tests/e2e/documented.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DOCUMENT_BYTES (1u << 20)

/* With nothing of a longer word around it. */
static bool
has_word(const char *text, const char *word)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += length)
		if ((at == text || strchr(letters, at[-1]) == NULL) &&
		    (at[length] == '\0' || strchr(letters, at[length]) == NULL))
			return true;
	return false;
}

static char *
read_document(const char *path)
{
	char *text = malloc(DOCUMENT_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	assert_non_null(text);
	assert_true(fd >= 0);
	length = read(fd, text, DOCUMENT_BYTES - 1);
	close(fd);
	assert_in_range(length, 1, DOCUMENT_BYTES - 2);
	text[length] = '\0';
	return text;
}

static void
check_keys(json_t *value, const char *text, const char *document)
{
	const char *key;
	json_t *part;
	size_t i;

	json_array_foreach(value, i, part) check_keys(part, text, document);
	json_object_foreach(value, key, part)
	{
		if (!has_word(text, key))
			fail_msg("%s does not name \"%s\"", document, key);
		check_keys(part, text, document);
	}
}

void
check_documented(json_t *value, const char *document)
{
	char *text = read_document(document);

	check_keys(value, text, document);
	free(text);
}

void
check_quoted(const char *quoted, const char *document)
{
	char *text = read_document(document);

	if (says(text, quoted) == NULL)
		fail_msg("not in %s:\n%s", document, quoted);
	free(text);
}
