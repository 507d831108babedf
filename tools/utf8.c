#include "tools/utf8.h"

size_t
vmt_utf8_decode(const char *text, size_t left, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *at = (const unsigned char *)text;
	size_t length;

	*code = left ? at[0] : 0;
	if (left == 0 || at[0] < 0x80)
		return left ? 1 : 0;
	length = at[0] >= 0xf8 ? 0 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 0;
	if (length == 0 || length > left)
		return 0;
	*code = at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80) {
			*code = at[0];
			return 0;
		}
		*code = (*code << 6) | (at[i] & 0x3f);
	}
	if (*code >= least[length] && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff))
		return length;
	*code = at[0];
	return 0;
}

bool
vmt_utf8_is_harmful(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
	       code == 0xfeff;
}
