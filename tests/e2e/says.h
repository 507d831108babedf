/*
 * says.h: where does a text that is wrapped say something?
 */
#ifndef VMT_SAYS_H
#define VMT_SAYS_H

/* Where text says these words, or NULL. A space of words is met by a space, and by a line's end
 * with the next line's indent: a sentence is found wherever its figures make it wrap. Everything
 * else is met by itself, as by strstr. */
char *says(const char *text, const char *words);

#endif
