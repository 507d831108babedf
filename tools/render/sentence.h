/*
 * sentence.h: a sentence in a buffer, clause by clause.
 *
 * What does not fit is cut off; the text always ends in a NUL. The buffer is the caller's, of at
 * least one byte.
 */
#ifndef VMT_SENTENCE_H
#define VMT_SENTENCE_H

#include <stddef.h>

struct vmt_sentence {
	char *text;
	size_t bytes;
	size_t used; /* without the NUL */
};

void vmt_sentence_say(struct vmt_sentence *sentence, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
