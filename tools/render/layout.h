/*
 * layout.h: text that fits a width.
 *
 * Names come from trace files and may hold anything: control characters and broken UTF-8 never
 * reach the terminal. Widths are columns, two for wide characters. Without UTF-8 all that is
 * written is ASCII. Nothing here allocates; results are cut to the caller's buffer at a character's
 * boundary.
 */
#ifndef VMT_LAYOUT_H
#define VMT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define VMT_LAYOUT_LINE_BYTES 2048

enum vmt_layout_style { VMT_STYLE_PLAIN, VMT_STYLE_TITLE, VMT_STYLE_DIM, VMT_STYLE_ALARM };

struct vmt_layout {
	FILE *out;
	size_t columns; /* no line is wider */
	bool whole;	/* but nothing is left out or broken: not for a terminal, but for grep */
	bool color;
	bool utf8;
};

/* Columns that text takes once it is cleaned. */
size_t vmt_layout_width(const struct vmt_layout *layout, const char *text);

/* Cleaned text of at most `columns`, its middle left out where it is longer. Returns result. */
char *vmt_layout_shorten(const struct vmt_layout *layout, char *result, size_t result_bytes,
			 const char *text, size_t columns);

/* One line, cut at the width; the newline is added. */
__attribute__((format(printf, 3, 4))) void vmt_layout_line(const struct vmt_layout *layout,
							   enum vmt_layout_style style,
							   const char *format, ...);

/* Words of text broken over lines at the width; the second and later are indented. */
void vmt_layout_wrap(const struct vmt_layout *layout, enum vmt_layout_style style, const char *text,
		     size_t indent);

/* A line that is not to be cut: broken where it is wider than a terminal, as it is elsewhere. */
void vmt_layout_row(const struct vmt_layout *layout, enum vmt_layout_style style, const char *text,
		    size_t indent);

#endif
