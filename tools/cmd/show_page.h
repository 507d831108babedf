/*
 * show_page.h: writes the page of a trace and shows it in the user's browser.
 *
 * The page lies beside the trace. The browser is $BROWSER, else what xdg-open chooses; it is
 * started and not waited for. Only from a terminal: elsewhere nobody would see it.
 */
#ifndef VMT_SHOW_PAGE_H
#define VMT_SHOW_PAGE_H

#include "tools/err.h"

#include <stddef.h>

/* "trace.html" of "trace.vmt"; to any other name ".html" is added. Returns result. */
char *vmt_show_page_name(const char *trace, char *result, size_t result_bytes);

/* environment: the browser's. 0, or a negative errno with a message that says where the page is, if
 * it was written. */
int vmt_show_page_open(const char *trace, char *const environment[], struct vmt_err *err);

#endif
