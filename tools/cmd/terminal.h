/*
 * terminal.h: width and abilities of an output.
 *
 * COLUMNS where somebody sets it, else stdout's own width, else 100. Colors on a terminal
 * alone, and not with NO_COLOR or TERM=dumb; characters beyond ASCII where the locale is UTF-8.
 */
#ifndef VMT_TERMINAL_H
#define VMT_TERMINAL_H

#include "tools/render/layout.h"

struct vmt_layout vmt_terminal_layout(FILE *out);

/* The same for text that may be long: what is written to stdout from now on goes through a pager,
 * where there is one (pager.h). */
struct vmt_layout vmt_terminal_paged(FILE *out);

#endif
