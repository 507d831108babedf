/*
 * top_text.h: what `vmtrace top` shows, as lines of text.
 *
 * The same lines for a terminal's screen and for plain output. Names come from traces: what a
 * terminal might obey is taken out, see layout.h. Stateless but for what it is given.
 */
#ifndef VMT_TOP_TEXT_H
#define VMT_TOP_TEXT_H

#include "tools/render/layout.h"
#include "tools/top/top_table.h"

struct vmt_top_look {
	enum vmt_top_view view;
	enum vmt_top_order order;
	const char *filter; /* NULL or "": all rows */
	size_t first_row;
	size_t height;	  /* lines in all; 0: as many as there are */
	size_t most_rows; /* 0: as many as fit */
	bool is_once;	  /* one reading alone: no growth is to be seen */
	bool is_paused;
};

/* Takes line after line, from the top; text has no newline and is not wider than the layout. */
typedef void vmt_top_text_put(void *context, enum vmt_layout_style style, const char *text);

/* How many rows pass the filter, for who scrolls; SIZE_MAX: no memory. */
size_t vmt_top_text_write(const struct vmt_top_table *table, const struct vmt_top_look *look,
			  const struct vmt_layout *layout, vmt_top_text_put *put, void *context);

#endif
