#include "tools/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* A path can hold anything: a message stays one line, and sends the terminal no commands. */
static void
make_one_line(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
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
