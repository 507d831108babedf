#include "tools/render/sentence.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void
vmt_sentence_say(struct vmt_sentence *sentence, const char *format, ...)
{
	va_list arguments;
	int length;

	assert(sentence->used < sentence->bytes);
	va_start(arguments, format);
	length = vsnprintf(sentence->text + sentence->used, sentence->bytes - sentence->used,
			   format, arguments);
	va_end(arguments);
	assert(length >= 0);
	sentence->used += (size_t)length;
	if (sentence->used >= sentence->bytes)
		sentence->used = sentence->bytes - 1;
}
