#include "tools/cmd/suggest.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#define LONGEST 128u

struct vmt_suggest
vmt_suggest_begin(const char *written, size_t length)
{
	size_t most = length / 3 ? length / 3 : 1;

	return (struct vmt_suggest){.written = written, .length = length, .distance = most + 1};
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][LONGEST + 1];

	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3];
		const size_t *over = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = least(least(above[j], row[j - 1]) + 1,
				       above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], over[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

void
vmt_suggest_offer(struct vmt_suggest *suggest, const char *word)
{
	size_t length = strlen(word);
	size_t changes;

	if (length > LONGEST || suggest->length > LONGEST || length == 0)
		return;
	changes = distance(suggest->written, suggest->length, word, length);
	if (changes > suggest->distance)
		return;
	if (changes == suggest->distance &&
	    (!suggest->word[0] || strncmp(word, suggest->written, suggest->length) != 0))
		return;
	suggest->distance = changes;
	snprintf(suggest->word, sizeof(suggest->word), "%s", word);
}

int
vmt_suggest_value(const char *value, size_t length, const char *const *words, int result,
		  struct vmt_err *err)
{
	char small[LONGEST];
	struct vmt_suggest suggest;
	size_t used = strlen(err->text);

	if (length >= sizeof(small))
		return result;
	for (size_t i = 0; i < length; i++)
		small[i] = (char)tolower((unsigned char)value[i]);
	suggest = vmt_suggest_begin(small, length);
	for (size_t i = 0; words[i]; i++)
		vmt_suggest_offer(&suggest, words[i]);
	if (suggest.word[0])
		snprintf(err->text + used, sizeof(err->text) - used, "; did you mean %s?",
			 suggest.word);
	return result;
}

void
vmt_suggest_file(const char *path, struct vmt_err *err)
{
	const char *slash = strrchr(path, '/');
	int directory_length = slash ? (int)(slash - path) + 1 : 0;
	const char *name = path + directory_length;
	struct vmt_suggest suggest = vmt_suggest_begin(name, strlen(name));
	char directory[4096];
	const struct dirent *entry;
	size_t used = strlen(err->text);
	DIR *open;

	snprintf(directory, sizeof(directory), "%.*s.", directory_length, path);
	open = opendir(directory);
	if (!open)
		return;
	while ((entry = readdir(open)))
		if (entry->d_name[0] != '.')
			vmt_suggest_offer(&suggest, entry->d_name);
	closedir(open);
	if (suggest.word[0])
		snprintf(err->text + used, sizeof(err->text) - used, "; did you mean %.*s%s?",
			 directory_length, path, suggest.word);
}

bool
vmt_suggest_process(const char *word, struct vmt_err *err)
{
	char pattern[64];
	glob_t found = {0};
	size_t digits = strlen(word);

	for (size_t i = 0; i < digits; i++)
		if (!isdigit((unsigned char)word[i]))
			return false;
	if (digits == 0 || digits > 10)
		return false;
	err->text[0] = '\0'; /* the first message stands */
	snprintf(pattern, sizeof(pattern), "vmtrace.*.%s.vmt", word);
	if (glob(pattern, 0, NULL, &found) == 0)
		(void)vmt_err_set(err, ENOENT, "%s: no such file; the trace of that process is %s",
				  word, found.gl_pathv[found.gl_pathc - 1]);
	else
		(void)vmt_err_set(
		    err, ENOENT,
		    "%s: no such file; report reads trace files, named *.%s.vmt by default; "
		    "'vmtrace doctor %s' says whether that process is recorded",
		    word, word, word);
	globfree(&found);
	return true;
}
