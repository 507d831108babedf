/*
 * top_screen.h: the screen of `vmtrace top`; the one module that knows ncurses.
 *
 * Takes the terminal over, and gives it back as it was: at the end, by every signal that ends the
 * process and can be caught, a crash included. One a process, as signal handlers are global.
 */
#ifndef VMT_TOP_SCREEN_H
#define VMT_TOP_SCREEN_H

#include "tools/top/top_text.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether standard input and output are a terminal that has a screen. */
bool vmt_top_screen_is_possible(void);

/* False: this terminal has none after all. */
bool vmt_top_screen_begin(bool utf8);
void vmt_top_screen_end(void);

enum vmt_top_screen_wish {
	VMT_TOP_SCREEN_NOTHING, /* the time is over */
	VMT_TOP_SCREEN_SHOW,	/* something else is to be seen: show it */
	VMT_TOP_SCREEN_QUIT,	/* by a key, or a signal */
};

/* Shows the table; what there is to see is the screen's own: keys change it. */
void vmt_top_screen_show(const struct vmt_top_table *table);
/* The view that it begins with, and the order of rows. */
void vmt_top_screen_set(enum vmt_top_view view, enum vmt_top_order order, const char *filter);
bool vmt_top_screen_is_paused(void);

/* The signal that wants an end; 0: none. Once the screen has ended it is for the caller to obey. */
int vmt_top_screen_signal(void);

/* Waits for a key, so many milliseconds at most. */
enum vmt_top_screen_wish vmt_top_screen_wait(int most_ms);

#endif
