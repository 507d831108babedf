#include "tools/err.h"

#include "tools/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A path can hold anything: a message stays one line, and sends the terminal no commands. */
static void
make_one_line(char *text)
{
	while (*text != '\0') {
		uint32_t code;
		size_t length = vmt_utf8_decode(text, strnlen(text, 4), &code);

		if (length == 0 || vmt_utf8_is_harmful(code))
			memset(text, '?', length ? length : 1);
		text += length ? length : 1;
	}
}

int
vmt_err_set(struct vmt_err *err, int code, const char *format, ...)
{
	va_list arguments;

	assert(code > 0);
	if (err->text[0] != '\0')
		return -code;
	va_start(arguments, format);
	vsnprintf(err->text, sizeof(err->text), format, arguments);
	va_end(arguments);
	make_one_line(err->text);
	return -code;
}
