/*
 * suggest.h: the known word nearest to a mistyped one.
 *
 * By the least number of letters to change, leave out, put in or swap (Damerau and Levenshtein):
 * one for each three letters of what was written, and one at least. Of words that are as near, one
 * that goes on where what was written ends.
 */
#ifndef VMT_SUGGEST_H
#define VMT_SUGGEST_H

#include "tools/err.h"

#include <stdbool.h>
#include <stddef.h>

struct vmt_suggest {
	const char *written;
	size_t length;	 /* of it */
	char word[256];	 /* the nearest so far, "" where none is near */
	size_t distance; /* of that one */
};

struct vmt_suggest vmt_suggest_begin(const char *written, size_t length);
void vmt_suggest_offer(struct vmt_suggest *suggest, const char *word);

/* Adds "; did you mean WORD?" to an error about a value, the first `length` letters of which are
 * none of the words (NULL-terminated); nothing where none is near. Capitals are no difference.
 * Returns the result that the error has. */
int vmt_suggest_value(const char *value, size_t length, const char *const *words, int result,
		      struct vmt_err *err);

/* Adds "; did you mean DIR/NAME?" to an error about a file that is not there, by the names in its
 * directory; nothing where none is near. */
void vmt_suggest_file(const char *path, struct vmt_err *err);

/* Whether the word is a process id. Then *err says where its trace is (in this directory, by the
 * default name), or what to do. */
bool vmt_suggest_process(const char *word, struct vmt_err *err);

#endif
