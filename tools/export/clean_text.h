/*
 * clean_text.h: names from a trace as other tools can take them.
 *
 * Valid UTF-8 without control characters and without what changes a terminal's direction of
 * writing; long names are cut. Stateless, thread safe.
 */
#ifndef VMT_CLEAN_TEXT_H
#define VMT_CLEAN_TEXT_H

#include <stddef.h>

#define VMT_CLEAN_TEXT_BYTES 4096u /* with the NUL */

/* Each character of `separators` becomes a colon. Returns result. NULL text is "". */
char *vmt_clean_text_copy(char result[VMT_CLEAN_TEXT_BYTES], const char *text,
			  const char *separators);

#endif
