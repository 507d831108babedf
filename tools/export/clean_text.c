#include "tools/export/clean_text.h"

#include "tools/utf8.h"

#include <string.h>

char *
vmt_clean_text_copy(char result[VMT_CLEAN_TEXT_BYTES], const char *text, const char *separators)
{
	size_t used = 0;

	while (text && *text) {
		uint32_t code;
		size_t step = vmt_utf8_decode(text, strnlen(text, 4), &code);

		if (used + (step ? step : 1) >= VMT_CLEAN_TEXT_BYTES)
			break;
		if (step == 0 || vmt_utf8_is_harmful(code))
			result[used++] = '?';
		else if (step == 1 && strchr(separators, *text))
			result[used++] = ':';
		else {
			memcpy(result + used, text, step);
			used += step;
		}
		text += step ? step : 1;
	}
	result[used] = '\0';
	return result;
}
