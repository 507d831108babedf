/*
 * screen.h: how wide is the place that stdout goes to, and what can it show?
 *
 * COLUMNS where somebody sets it, else the terminal's own width, else 100. Colors on a terminal
 * alone, and not with NO_COLOR or TERM=dumb; characters beyond ASCII where the locale is UTF-8.
 */
#ifndef VMT_SCREEN_H
#define VMT_SCREEN_H

#include "tools/render/layout.h"

struct vmt_layout vmt_screen_layout(void);

#endif
