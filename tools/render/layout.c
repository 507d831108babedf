#include "tools/render/layout.h"

#include "tools/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define MICRO_SIGN 0xb5u /* of "µs"; without it one writes "us" */

/* One character of input: what to write for it. */
struct piece {
	const char *bytes;
	size_t length;
	size_t columns;
	size_t consumed;
};

static bool
is_wide(uint32_t code)
{
	return (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
	       (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
	       (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
	       (code >= 0x1f300 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd);
}

static struct piece
next_piece(const struct vmt_layout *layout, const char *text)
{
	struct piece piece = {"?", 1, 1, 1};
	uint32_t code;
	size_t length = vmt_utf8_decode(text, strnlen(text, 4), &code);

	if (length == 0)
		return piece;
	piece.consumed = length;
	if (code == MICRO_SIGN && !layout->utf8) {
		piece.bytes = "u";
		return piece;
	}
	if (vmt_utf8_is_harmful(code) || (code >= 0x80 && !layout->utf8))
		return piece;
	piece.bytes = text;
	piece.length = length;
	piece.columns = is_wide(code) ? 2 : 1;
	return piece;
}

size_t
vmt_layout_width(const struct vmt_layout *layout, const char *text)
{
	size_t columns = 0;

	while (*text) {
		struct piece piece = next_piece(layout, text);

		columns += piece.columns;
		text += piece.consumed;
	}
	return columns;
}

/* Cleaned text from `text`, at most `columns` wide, appended at result[used]; the new `used`. */
static size_t
append(const struct vmt_layout *layout, char *result, size_t result_bytes, size_t used,
       const char *text, size_t columns)
{
	size_t taken = 0;

	while (*text) {
		struct piece piece = next_piece(layout, text);

		if (taken + piece.columns > columns || used + piece.length >= result_bytes)
			break;
		memcpy(result + used, piece.bytes, piece.length);
		used += piece.length;
		taken += piece.columns;
		text += piece.consumed;
	}
	result[used] = '\0';
	return used;
}

/* The longest end of text that is at most `columns` wide. */
static const char *
tail(const struct vmt_layout *layout, const char *text, size_t columns)
{
	size_t width = vmt_layout_width(layout, text);

	while (width > columns) {
		struct piece piece = next_piece(layout, text);

		width -= piece.columns;
		text += piece.consumed;
	}
	return text;
}

char *
vmt_layout_shorten(const struct vmt_layout *layout, char *result, size_t result_bytes,
		   const char *text, size_t columns)
{
	const char *mark = layout->utf8 ? "\xe2\x80\xa6" : "..";
	size_t mark_columns = layout->utf8 ? 1 : 2;
	size_t left;
	size_t used;

	assert(result_bytes > 0);
	if (layout->whole)
		columns = SIZE_MAX;
	if (vmt_layout_width(layout, text) <= columns || columns <= mark_columns) {
		append(layout, result, result_bytes, 0, text, columns);
		return result;
	}
	left = (columns - mark_columns + 1) / 2;
	used = append(layout, result, result_bytes, 0, text, left);
	used = append(layout, result, result_bytes, used, mark, mark_columns);
	append(layout, result, result_bytes, used,
	       tail(layout, text, columns - mark_columns - left), columns);
	return result;
}

static void
write_line(const struct vmt_layout *layout, enum vmt_layout_style style, const char *text)
{
	static const char *const codes[] = {
	    [VMT_STYLE_PLAIN] = "",
	    [VMT_STYLE_TITLE] = "\033[1m",
	    [VMT_STYLE_DIM] = "\033[2m",
	    [VMT_STYLE_ALARM] = "\033[1;31m",
	};
	char clean[VMT_LAYOUT_LINE_BYTES];
	bool styled = layout->color && style != VMT_STYLE_PLAIN;
	size_t length = append(layout, clean, sizeof(clean), 0, text,
			       layout->whole ? SIZE_MAX : layout->columns);

	while (length && clean[length - 1] == ' ')
		clean[--length] = '\0';
	fprintf(layout->out, "%s%s%s\n", styled ? codes[style] : "", clean,
		styled ? "\033[0m" : "");
}

void
vmt_layout_line(const struct vmt_layout *layout, enum vmt_layout_style style, const char *format,
		...)
{
	char text[VMT_LAYOUT_LINE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	write_line(layout, style, text);
}

/* Bytes of text that go on a line of `columns`: up to a space where there is one. */
static size_t
fit(const struct vmt_layout *layout, const char *text, size_t columns)
{
	size_t at = 0;
	size_t space = 0;
	size_t width = 0;

	while (text[at]) {
		struct piece piece = next_piece(layout, text + at);

		if (text[at] == ' ')
			space = at;
		if (width + piece.columns > columns)
			return space ? space : at ? at : piece.consumed;
		width += piece.columns;
		at += piece.consumed;
	}
	return at;
}

void
vmt_layout_wrap(const struct vmt_layout *layout, enum vmt_layout_style style, const char *text,
		size_t indent)
{
	size_t margin = 0;

	if (indent + 8 > layout->columns)
		indent = 0;
	while (*text) {
		char line[VMT_LAYOUT_LINE_BYTES];
		size_t length = fit(layout, text, layout->columns - margin);

		snprintf(line, sizeof(line), "%*s%.*s", (int)margin, "", (int)length, text);
		write_line(layout, style, line);
		text += length;
		while (*text == ' ')
			text++;
		margin = indent;
	}
}

void
vmt_layout_row(const struct vmt_layout *layout, enum vmt_layout_style style, const char *text,
	       size_t indent)
{
	if (layout->whole)
		write_line(layout, style, text);
	else
		vmt_layout_wrap(layout, style, text, indent);
}
