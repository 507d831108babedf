#include "tools/export/metric_label.h"

#include <stddef.h>

const char *
vmt_metric_label(char result[VMT_METRIC_LABEL_BYTES], const char *text)
{
	char clean[VMT_CLEAN_TEXT_BYTES];
	size_t used = 0;

	vmt_clean_text_copy(clean, text, "");
	for (const char *at = clean; *at; at++) {
		if (*at == '\\' || *at == '"')
			result[used++] = '\\';
		result[used++] = *at;
	}
	result[used] = '\0';
	return result;
}
