/*
 * pager.h: shows long text a screen at a time, as git does.
 *
 * Only where stdout is a terminal that can do more than print. VMTRACE_PAGER, else PAGER, else
 * less, where that is installed; an empty one or "cat" is none. Where LESS is not set, less gets
 * FRX: it ends by itself where all fits the screen, shows colors, and leaves the text there. A
 * pager that can't be run is done without. Single-threaded.
 */
#ifndef VMT_PAGER_H
#define VMT_PAGER_H

#include <stdbool.h>
#include <stddef.h>

/* From now on what is written to stdout goes through the pager, if there is to be one. */
void vmt_pager_begin(void);

/* Waits for the user to leave it; stdout is the terminal again. Before anything is written to
 * stderr. Nothing where there is no pager. */
void vmt_pager_end(void);

/* Whether there is one, and so stdout is to look as on a terminal, and how wide that is (0: not
 * known). */
bool vmt_pager_is_in_use(size_t *columns);

#endif
